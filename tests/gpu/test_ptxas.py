"""NVIDIA's assembler takes the PTX, and finds no spills; skipped where it is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpu.assembler import WHEEL, Usage, assemble, find_ptxas, usages
from gpu.graphs import CASES, Case

from tensorkiln.compiler.pipeline import compile_ptx

REPORT = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'k0_reduce' for 'sm_80'
ptxas info    : Function properties for k0_reduce
    16 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 21 registers, used 1 barriers, 512 bytes smem, 368 bytes cmem[0]
"""


def test_reports_are_read() -> None:
    assert usages(REPORT) == {"k0_reduce": Usage(21, 16, 12, 512)}


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ptx_assembles_without_spills(case: Case, target: str, tmp_path: Path) -> None:
    ptxas = find_ptxas()
    if ptxas is None:
        pytest.skip(f"ptxas is neither on PATH nor in the wheel {WHEEL}")
    module = compile_ptx(case.function(), target)
    found = assemble(ptxas, module.text, target, tmp_path)
    assert set(found) == {launch.entry for launch in module.launches}
    for launch in module.launches:
        usage = found[launch.entry]
        assert usage.spill_bytes == usage.stack_bytes == 0
        assert usage.shared_bytes == launch.shared_bytes
        assert usage.registers * launch.threads <= 1 << 16  # a multiprocessor's register file
