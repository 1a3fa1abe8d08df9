"""Every text file here: what goes in, what was done, and the exact text that comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from filetests.case import Case, read_case, show
from filetests.drivers import assert_same_effect, run

from tensorkiln.compiler.kernel.parse import parse_kernel

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*/*.txt"))


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(FOLDER)) for p in FILES])
def test_file(path: Path, bless: bool):
    case = read_case(path)
    output = run(case)
    if bless:
        case.bless(output)
    else:
        assert output.strip() == case.expected.strip()


def test_a_blessed_file_reads_back(tmp_path: Path):
    path = tmp_path / "case.txt"
    path.write_text("# Nothing happens.\nrun: \ncompare: exact\n\nfunc @f() -> () {\n  return\n}\n")
    case = read_case(path)
    case.bless(run(case))
    again = read_case(path)
    assert again.expected == "func @f() -> () {\n  return\n}\n"
    assert run(again).strip() == again.expected.strip()
    assert show(again) == path.read_text()


def test_a_wrong_header_is_an_error(tmp_path: Path):
    path = tmp_path / "case.txt"
    path.write_text("pass: dead_code\n\nfunc @f() -> () {\n  return\n}\n")
    with pytest.raises(ValueError, match="neither a comment nor an option"):
        read_case(path)


def test_an_unknown_step_is_an_error():
    text = "kernel @k(y: out f32[4]) {\n  y[0] = 1.0f32\n}\n"
    with pytest.raises(ValueError, match="no rewrite is named 'frob'"):
        run(Case(FOLDER, "", {"run": 'frob("i")'}, text, ""))


def test_a_change_of_meaning_is_seen():
    one, two = (
        parse_kernel(f"kernel @k(y: out f32[4]) {{ y[0] = {value}f32 }}")
        for value in ("1.0", "1.0000001")
    )
    assert_same_effect(one, two, exact=False)
    with pytest.raises(AssertionError):
        assert_same_effect(one, two)
