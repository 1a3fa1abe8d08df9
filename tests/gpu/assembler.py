"""Finds and runs NVIDIA's PTX assembler, from PATH or from the wheel nvidia-cuda-nvcc."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

WHEEL = "nvidia-cuda-nvcc"


@dataclass(frozen=True)
class Usage:
    """What one entry uses of a multiprocessor, as ptxas -v reports it; bytes a thread or block."""

    registers: int
    stack_bytes: int
    spill_bytes: int
    shared_bytes: int


def find_ptxas() -> str | None:
    """The assembler's path, or None."""
    return shutil.which("ptxas") or _in_wheel()


def _in_wheel() -> str | None:
    try:
        files = metadata.files(WHEEL) or []
    except metadata.PackageNotFoundError:
        return None
    found = (str(f.locate()) for f in files if f.name in ("ptxas", "ptxas.exe"))
    return next(found, None)


def assemble(ptxas: str, text: str, target: str, folder: Path) -> dict[str, Usage]:
    """The use of resources of every entry; AssertionError with ptxas' words if it refuses."""
    source = folder / "module.ptx"
    source.write_text(text)
    command = [ptxas, "-v", f"-arch={target}", str(source), "-o", str(folder / "module.cubin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return usages(done.stderr)


def usages(report: str) -> dict[str, Usage]:
    """The entries of a report of ptxas -v."""
    found: dict[str, Usage] = {}
    for part in report.split("Compiling entry function '")[1:]:
        entry = part.split("'", 1)[0]
        spills = _number(r"(\d+) bytes spill stores", part) + _number(
            r"(\d+) bytes spill loads", part
        )
        found[entry] = Usage(
            _number(r"Used (\d+) registers", part),
            _number(r"(\d+) bytes stack frame", part),
            spills,
            _number(r"(\d+) bytes smem", part),
        )
    return found


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    return int(match[1]) if match else 0
