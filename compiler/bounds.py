"""Runs compiled code whose every load and store is checked against its buffer."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.pipeline import generate, lower
from tensorkiln.compiler.sizes.bound import Bounded
from tensorkiln.runtime.errors import BoundsError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.jit import load_compiled

_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int64)
_MOST = 20  # different accesses that are told


class CheckedCode:
    """`function` compiled for `target`, which this machine can run, with checks.

    With `bounded`, of which it is the function, calls are of any sizes that it allows: arrays are
    dense at the sizes of a call, at the start of buffers for the largest ones.
    """

    def __init__(
        self, function: Function, target: Target, threads: int = 0, bounded: Bounded | None = None
    ) -> None:
        stages = lower(function, target, bounded=bounded, checked=True)
        self._nodes = {
            stages.program.kernels[call.kernel].name: ", ".join(call.nodes)
            for call in stages.program.calls
        }
        self._found: dict[str, int] = {}
        self._lock = threading.Lock()
        self._hook = _HOOK(self._note)
        address = ctypes.cast(self._hook, ctypes.c_void_p).value or 0
        compiled = generate(function, stages, target)
        self.executable: Executable = load_compiled(
            compiled, threads, {"tk_out_of_bounds": address}
        )

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results for one array a parameter.

        BoundsError names the kernels, buffers and nodes of accesses that were outside; memory
        outside of buffers was neither read nor written.
        """
        self._found = {}
        results = self.executable(*arrays)
        if self._found:
            lines = [self._line(*item) for item in list(self._found.items())[:_MOST]]
            raise BoundsError(f"{self.executable.manifest.model}: {'; '.join(lines)}")
        return results

    def _note(self, text: bytes | None, offset: int) -> None:
        """Called from compiled code, perhaps from several threads at once."""
        with self._lock:
            self._found.setdefault((text or b"").decode("utf-8", "replace"), offset)

    def _line(self, text: str, offset: int) -> str:
        kernel, _, buffer = text.partition(": ")
        nodes = self._nodes.get(kernel, "")
        place = f" (nodes {nodes})" if nodes else ""
        return f"kernel {kernel}{place} accesses element {offset} of the buffer {buffer}"
