"""What the command line imports before it knows what it is asked for, and that nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tensorkiln.frontends.cli import commands
from tensorkiln.frontends.cli.main import main


def test_help_needs_neither_numpy_nor_onnx_nor_llvm() -> None:
    program = (
        "import sys\n"
        "from tensorkiln.frontends.cli.main import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "print([name for name in ('numpy', 'onnx', 'llvmlite') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_each_command_module_is_listed() -> None:
    folder = Path(commands.__file__).parent
    assert {f"{name}_command" for name in commands.HELP} == {
        path.stem for path in folder.glob("*_command.py")
    }


@pytest.mark.parametrize("name", commands.HELP)
def test_each_command_tells_its_own_arguments(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith(f"usage: tensorkiln {name}")
    assert "--verbose" in told


def test_an_unknown_command_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["compil"])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert all(name in told for name in commands.HELP)
