"""tf.flags and tf.app.run: what is read, what is refused and how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tensorkiln as tf
from tensorkiln.flags import FlagValues


@pytest.fixture
def values() -> Any:
    """Flags of every kind."""
    v, define = FlagValues(), tf.flags
    define.DEFINE_string("name", "x", "a name", flag_values=v, short_name="n")
    define.DEFINE_integer("steps", 7, "how many", lower_bound=0, flag_values=v)
    define.DEFINE_float("rate", 0.5, "how fast", flag_values=v)
    define.DEFINE_boolean("fast", False, "go fast", flag_values=v)
    define.DEFINE_enum("mode", "train", ["train", "test"], "what to do", flag_values=v)
    define.DEFINE_list("sizes", "1,2", "sizes", flag_values=v)
    define.DEFINE_multi_integer("k", None, "numbers", flag_values=v)
    define.DEFINE_multi_string("word", "w", "words", flag_values=v)
    return v


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--steps=3"], "steps", 3),
        (["--steps", "3"], "steps", 3),
        (["-steps", "0x1f"], "steps", 31),
        (["--rate=1e-3"], "rate", 1e-3),
        (["--rate=2"], "rate", 2.0),
        (["--fast"], "fast", True),
        (["--fast", "--nofast"], "fast", False),
        (["--fast=True"], "fast", True),
        (["--fast=0"], "fast", False),
        (["--mode=test"], "mode", "test"),
        (["--name="], "name", ""),
        (["-n", "y"], "name", "y"),
        (["--name=a=b"], "name", "a=b"),
        (["--sizes=a, b,c"], "sizes", ["a", "b", "c"]),
        (["--sizes="], "sizes", []),
        ([], "sizes", ["1", "2"]),
        (["--k=1", "--k=2"], "k", [1, 2]),
        ([], "k", None),
        ([], "word", ["w"]),
        (["--word=a,b", "--word", "c"], "word", ["a,b", "c"]),
        ([], "rate", 0.5),
    ],
)
def test_values(values: Any, arguments: list[str], name: str, value: object) -> None:
    assert values(["prog", *arguments]) == ["prog"]
    found = getattr(values, name)
    assert found == value
    assert type(found) is type(value)


def test_what_is_left(values: Any) -> None:
    assert values(["p", "--steps=1", "file", "--rate=2"]) == ["p", "file"]
    assert values(["p", "--fast", "--", "--steps=9"]) == ["p", "--steps=9"]
    assert values(["p", "--", "--steps=9"], known_only=True) == ["p", "--", "--steps=9"]
    assert values(["p", "--what=3", "--steps=2"], known_only=True) == ["p", "--what=3"]
    assert (values.steps, values.fast, values.rate) == (2, True, 2.0)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--steps=a", "flag --steps=a: invalid literal for int() with base 10: 'a'"),
        ("--steps=-1", "flag --steps=-1: -1 is not a non-negative integer"),
        ("--rate=a", "flag --rate=a: could not convert string to float: 'a'"),
        ("--fast=2", "flag --fast=2: ('Non-boolean argument to boolean flag', '2')"),
        ("--mode=x", "flag --mode=x: value should be one of <train|test>"),
        ("--stepss=1", "Unknown command line flag 'stepss'. Did you mean: steps ?"),
        ("--zzz", "Unknown command line flag 'zzz'"),
        ("--name", "Missing value for flag --name"),
    ],
)
def test_refused(values: Any, argument: str, message: str) -> None:
    with pytest.raises(tf.flags.Error) as caught:
        values(["p", argument])
    assert str(caught.value) == message


def test_required_and_validated(values: Any) -> None:
    tf.flags.mark_flag_as_required("k", values)
    tf.flags.register_validator("steps", lambda n: n % 2, "must be odd", values)
    with pytest.raises(tf.flags.IllegalFlagValueError, match="Flag --k must have a value other"):
        values(["p"])
    with pytest.raises(tf.flags.IllegalFlagValueError, match="flag --steps=4: must be odd"):
        values(["p", "--k=1", "--steps=4"])
    assert values(["p", "--k=1", "--steps=5"]) == ["p"]


def test_access(values: Any) -> None:
    values(["p"])
    values.steps = 9
    assert values.steps == values["steps"].value == 9
    assert values.flag_values_dict()["rate"] == 0.5
    assert "rate" in values
    assert "other" not in values
    values.set_default("rate", 3)
    assert values.rate == 3.0
    with pytest.raises(AttributeError, match="other"):
        _ = values.other
    with pytest.raises(AttributeError, match="other"):
        values.other = 3
    del values.rate
    assert not hasattr(values, "rate")


def test_defined_twice(values: Any, tmp_path: Path) -> None:
    tf.flags.DEFINE_integer("steps", 1, "again, from the same file", flag_values=values)
    source = "import tensorkiln as tf\ntf.flags.DEFINE_integer('steps', 1, '', flag_values=v)"
    with pytest.raises(tf.flags.DuplicateFlagError, match="The flag 'steps' is defined twice"):
        exec(compile(source, str(tmp_path / "other.py"), "exec"), {"v": values})


PROGRAM = '''
"""A program."""
import tensorkiln as tf
tf.app.flags.DEFINE_integer("max_step", 7, "steps")
tf.app.flags.DEFINE_boolean("fast", False, "go fast")
FLAGS = tf.app.flags.FLAGS
def main(argv):
    print(FLAGS.max_step, FLAGS.fast, argv[1:])
    return 3
if __name__ == "__main__":
    tf.app.run()
'''


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err"),
    [
        ([], 3, "7 False []\n", ""),
        (["--max_step", "9", "--fast", "--other=1"], 3, "9 True ['--other=1']\n", ""),
        (["--max_step=a"], 1, "", "FATAL Flags parsing error: flag --max_step=a: invalid literal"),
    ],
)
def test_a_program(tmp_path: Path, arguments: list[str], status: int, out: str, err: str) -> None:
    (tmp_path / "p.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "p.py"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (status, out)
    assert ran.stderr.startswith(err)
    assert bool(ran.stderr) == bool(err)


def test_help(
    values: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tf.flags, "FLAGS", values)
    with pytest.raises(SystemExit) as caught:
        tf.app.run(lambda argv: 0, ["prog", "--help"])
    assert caught.value.code == 1
    shown = capsys.readouterr().out
    for line in (
        "  --[no]fast: go fast", "    (default: 'false')", "  --mode: <train|test>: what to do",
        "    (a non-negative integer)", "  -n,--name: a name", "    (default: '1,2')",
    ):  # fmt: skip
        assert line in shown.splitlines()
