"""The file tests of passes: each pass has some, and a second run of a pass changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from filetests.case import read_case

from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.passes import PASSES

FILES = sorted((Path(__file__).parents[1] / "filetests" / "passes").glob("*.txt"))


def steps(file: Path) -> list[str]:
    return [name.strip() for name in read_case(file).options["run"].split("|")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_second_run_changes_nothing(file: Path) -> None:
    function = parse_function(read_case(file).text)
    for name in steps(file):
        function = PASSES[name](function)
        assert PASSES[name](function) is function


def test_every_pass_has_a_file() -> None:
    assert {name for file in FILES for name in steps(file)} >= {*PASSES} - {"fuse"}
