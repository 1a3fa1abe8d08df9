"""Functions that were once compiled wrongly, at every vector width and as interpreted kernels."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiled.check import check, check_interpreted

from tensorkiln.compiler.ir.parse import parse_function

CASES = sorted((Path(__file__).parent / "regressions").glob("*.txt"))


@pytest.mark.parametrize("small", [False, True], ids=["usual", "small"])
@pytest.mark.parametrize("target", ["host", "x86-64", "x86-64-v3"])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_regression(path: Path, target: str, small: bool) -> None:
    function = parse_function(path.read_text(encoding="utf-8"))
    check(function, target, small)
    check_interpreted(function, target, small)
