"""Another engine in a process of its own."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorkiln.runtime.errors import TensorKilnError

Array = npt.NDArray[Any]
PEERS = ("onnxruntime", "openvino", "torch_eager", "torch_compile", "jax")
_SECONDS_TO_END = 5
_LONGEST_SECONDS = 1200  # that an answer may take: compilers of others are slow on large graphs
_FOLDER = Path(__file__).with_name("peers")


def pythons_of(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The Pythons that `[NAME=]PYTHON` give, by engine; that of the others as ""."""
    found = {}
    for text in given:
        name, mark, python = text.partition("=")
        if mark and name in names:
            found[name] = python
        else:
            found[""] = text
    return found


class PeerError(Exception):
    """A peer cannot run a model; the message is its own."""


class Peer:
    """A process that runs an engine on the first `threads` of `processors`.

    The module `run_<name>` is looked for in the first of `folders`, then in the worker's own;
    what they import may be in the other folders.
    """

    def __init__(
        self, name: str, threads: int, python: str, processors: Sequence[int],
        folders: Sequence[Path] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self._threads = threads
        used = ",".join(map(str, processors[:threads]))
        self._command = [python, str(_FOLDER / "worker.py"), name, used, *map(str, folders)]
        self._process = self._start()
        try:
            self.version = str(self.ask({"do": "version"})["version"])
        except PeerError:
            self.close()
            raise

    @property
    def process(self) -> int:
        """The number of its process."""
        return self._process.pid

    def prepare(self, model: Path | str, inputs: Path, outputs: Path) -> tuple[list[Array], float]:
        """Loads a model and runs it once; its outputs, and the seconds that this took.

        A process that ended, with an earlier model perhaps, is started anew.
        """
        if self._process.poll() is not None:
            self.close()
            self._process = self._start()
        request = {
            "do": "prepare", "model": str(model), "inputs": str(inputs), "outputs": str(outputs),
            "threads": self._threads,
        }  # fmt: skip
        seconds = float(self.ask(request)["seconds"])
        with np.load(outputs) as archive:
            return [archive[name] for name in archive.files], seconds

    def times(self, seconds: float, most: int) -> list[float]:
        """Seconds of single calls on bound arrays."""
        return self._times(seconds, most, "bound")

    def end_to_end_times(self, seconds: float, most: int) -> list[float]:
        """Seconds of single calls on numpy arrays that give numpy arrays."""
        return self._times(seconds, most, "end_to_end")

    def _times(self, seconds: float, most: int, form: str) -> list[float]:
        answer = self.ask({"do": "time", "seconds": seconds, "most": most, "form": form})
        return [float(value) for value in answer["times"]]

    def release(self) -> None:
        """Frees the model."""
        with contextlib.suppress(PeerError):
            self.ask({"do": "release"})

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        """The answer to a request; PeerError with what went wrong there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], _LONGEST_SECONDS)
            line = self._process.stdout.readline() if ready else ""
        except OSError as error:
            raise self._ended(f": {error}") from error
        if not ready:
            self._process.kill()
            raise PeerError(f"no answer for {_LONGEST_SECONDS} seconds")
        if not line:
            raise self._ended("")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def _ended(self, why: str) -> PeerError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        return PeerError(f"its process ended with {self._process.returncode}{why}")

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip


def start_peers(
    names: Sequence[str], threads: int, pythons: Mapping[str, str], processors: Sequence[int],
    folders: Sequence[Path] = (),
) -> tuple[list[Peer], dict[str, str]]:  # fmt: skip
    """The peers that are installed, and why the others are not there.

    `pythons` gives an engine's Python by its name, that of the others as "". TensorKilnError if
    one cannot be started. `folders` are Peer's.
    """
    found: list[Peer] = []
    missing: dict[str, str] = {}
    for name in names:
        python = pythons.get(name) or pythons.get("") or sys.executable
        try:
            found.append(Peer(name, threads, python, processors, folders))
        except PeerError as error:
            missing[name] = f"not installed for {python}: {error}"
        except OSError as error:
            raise TensorKilnError(f"--peer-python {python}: cannot be started: {error}") from error
    return found, missing
