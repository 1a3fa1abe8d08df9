"""`tensorkiln doctor`: what a TensorFlow 1 program uses that is not there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorkiln.frontends.cli.commands import HELP, UsageError
from tensorkiln.frontends.cli.doctor import Findings, examine
from tensorkiln.frontends.cli.usage import Commands, add_json
from tensorkiln.runtime.errors import TensorKilnError

INCOMPLETE = 4


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command."""
    parser = commands.add_parser(
        "doctor",
        help=HELP["doctor"],
        description="Lists, without running it, which TensorFlow names and arguments a program "
        "uses that TensorKiln lacks. Exit code 4 if there are some.",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PROGRAM", help="a .py file, or a folder of them"
    )
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Examines the programs and prints what is missing."""
    found = {str(path): _examined(path) for path in _files(options.paths)}
    if options.json:
        print(json.dumps({name: _plain(item) for name, item in found.items()}, indent=2))
    else:
        for name, item in found.items():
            print(_report(name, item))
    return INCOMPLETE if any(item.missing or item.arguments for item in found.values()) else 0


def _files(texts: Sequence[str]) -> list[Path]:
    """The programs, those of folders in the order of their names."""
    files: list[Path] = []
    for path in map(Path, texts):
        if path.is_dir():
            files += sorted(path.rglob("*.py"))
        elif path.exists():
            files.append(path)
        else:
            raise TensorKilnError(f"{path}: no such file or folder")
    if not files:
        raise UsageError(f"no .py files in {', '.join(texts)}")
    return files


def _examined(path: Path) -> Findings:
    try:
        return examine(path.read_text("utf-8"), str(path))
    except SyntaxError as error:
        raise TensorKilnError(
            f"{path}:{error.lineno}: not Python 3 ({error.msg}); 2to3 or a similar tool can help"
        ) from None
    except UnicodeDecodeError as error:
        raise TensorKilnError(f"{path}: not UTF-8 text ({error.reason})") from None


def _plain(findings: Findings) -> dict[str, object]:
    return {
        "names": len(findings.used), "missing": findings.missing, "arguments": findings.arguments,
    }  # fmt: skip


def _report(name: str, findings: Findings) -> str:
    uses = f"{name}: uses {len(findings.used)} TensorFlow names"
    if not findings.missing and not findings.arguments:
        return f"{uses}, and TensorKiln has all of them"
    return "\n".join([
        uses,
        *_section("TensorKiln lacks", findings.missing),
        *_section("arguments that are not taken", findings.arguments),
    ])  # fmt: skip


def _section(title: str, names: Mapping[str, Sequence[int]]) -> list[str]:
    if not names:
        return []
    width = max(map(len, names)) + 3
    lines = [
        f"    {'tf.' + name:{width}}  line{'s' if len(at) > 1 else ''} {', '.join(map(str, at))}"
        for name, at in sorted(names.items())
    ]
    return [f"  {title}:", *lines]
