"""The command that runs named passes on text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorkiln.frontends.cli.opt import main

TEXT = """func @main(%x: f32[2]) -> (f32[2]) {
  %0: f32[2] = negate(%x)
  %1: f32[2] = negate(%0)
  %2: f32[2] = exponential(%1)
  return %2
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.txt"
    path.write_text(TEXT)
    return path


def test_passes_run_in_order(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--passes", "canonicalize,dead_code", str(file)]) == 0
    out = capsys.readouterr().out
    assert "%2: f32[2] = exponential(%x)" in out
    assert "negate" not in out


def test_no_pass_prints_the_text_as_it_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file)]) == 0
    assert capsys.readouterr().out == TEXT


def test_an_unknown_pass_is_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--passes", "canonicalise", str(file)]) == 2
    assert "no pass is named canonicalise" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", [TEXT[:50], TEXT.replace("%x)", "%y)"), TEXT.replace("f32[2] = e", "f32[3] = e")]
)
def test_bad_text_names_the_file(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    assert main(["--passes", "dead_code", str(path)]) == 1
    assert str(path) in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.txt")]) == 1
    assert "none.txt" in capsys.readouterr().err
