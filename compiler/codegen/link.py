"""Finds a linker and makes a shared object with it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.processor import architecture

_SECONDS = 600


def find_linker(target: Target) -> tuple[str, ...]:
    """The command of a C compiler that can link for `target`.

    For this machine: cc, gcc or clang; for another: its cross compiler
    ("aarch64-linux-gnu-gcc"); for both: `zig cc` from the Python package ziglang. ArtifactError
    if there is none, telling what to install.
    """
    native = target.architecture == architecture()
    cross = f"{target.architecture}-linux-gnu-gcc"
    for name in ("cc", "gcc", "clang") if native else (cross,):
        if shutil.which(name):
            return (name,)
    if importlib.util.find_spec("ziglang") is not None:
        triple = f"{target.architecture}-linux-gnu"
        return (sys.executable, "-m", "ziglang", "cc", "-target", triple)
    wanted = "a C compiler (gcc or clang)" if native else cross
    raise ArtifactError(
        f"no linker for {target.triple}: install {wanted} or the Python package ziglang"
        " (pip install ziglang), or write an object file (.o) or archive (.a), which need none"
    )


def link_shared(linker: Sequence[str], object_file: Path, output: Path, soname: str) -> None:
    """Link `object_file` into the shared object `output`; ArtifactError with the linker's words."""
    command = [
        *linker, "-shared", "-o", str(output), str(object_file), f"-Wl,-soname,{soname}",
        "-Wl,-z,noexecstack", "-Wl,-z,defs", "-lm", "-lpthread",
    ]  # fmt: skip
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise ArtifactError(f"the linker {linker[0]!r} cannot be run: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise ArtifactError(f"the linker {linker[0]!r} took over {_SECONDS} seconds") from error
    if result.returncode:
        raise ArtifactError(
            f"the linker failed with status {result.returncode}: {result.stderr.strip()}\n"
            f"command: {' '.join(command)}"
        )
