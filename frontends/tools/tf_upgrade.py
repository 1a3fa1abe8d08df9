"""`python -m tensorkiln.tools.compatibility.tf_upgrade`: programs for TensorFlow 0.x to 1.x."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tensorkiln.frontends.tools.upgrade import Upgraded, upgrade

_RULE = "-" * 80 + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Upgrades a file or a tree and writes the report; 1 where something could not be read."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if bool(options.infile) == bool(options.intree):
        parser.error("give either --infile and --outfile or --intree and --outtree")
    if options.infile:
        if not options.outfile:
            parser.error(
                "--outfile=<output file> argument is required when converting a single file"
            )
        jobs, others = [(Path(options.infile), Path(options.outfile))], []
    else:
        if not options.outtree:
            parser.error("--outtree=<output folder> argument is required when converting a tree")
        source, target = Path(options.intree), Path(options.outtree)
        if target.resolve().is_relative_to(source.resolve()):
            parser.error("--outtree must not lie in --intree")
        files = sorted(path for path in source.rglob("*") if path.is_file())
        pairs = [(path, target / path.relative_to(source)) for path in files]
        jobs = [pair for pair in pairs if pair[0].suffix == ".py"]
        others = [pair for pair in pairs if pair[0].suffix != ".py" and options.copyotherfiles]
    report, problems, failed = "", [], False
    for old, new in jobs:
        try:
            text, errors = _convert(old, new)
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            text, errors, failed = _head(old, new), [f"{old}: cannot be converted: {error}"], True
        report += text
        problems += errors
    for old, new in others:
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(old, new)
    Path(options.reportfile).write_text(report + "".join(f"{p}\n" for p in problems), "utf-8")
    print("TensorFlow 1.0 Upgrade Script\n-----------------------------")
    print(f"Converted {len(jobs)} files\n")
    print(f"Detected {len(problems)} errors that require attention")
    if problems:
        print(_RULE + "\n".join(problems) + "\n" + _RULE, end="")
    print(f"\nMake sure to read the detailed log {options.reportfile!r}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tf_upgrade",
        description="Rewrites programs for TensorFlow 0.x for the names and the argument order of "
        "1.0. The report tells each change, and what must be changed by hand.",
    )
    add = parser.add_argument
    add("--infile", help="the program to convert")
    add("--outfile", help="where to write it; may be the same file")
    add("--intree", help="a folder of programs to convert")
    add("--outtree", help="where to write them")
    add("--copyotherfiles", type=_truth, default=False, metavar="BOOL",
        help="whether a tree's other files are copied too (default: False)")  # fmt: skip
    add(
        "--reportfile", default="report.txt", help="where to write the report (default: report.txt)"
    )
    return parser


def _truth(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no", ""):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


def _convert(old: Path, new: Path) -> tuple[str, list[str]]:
    """Writes the new file; the report on it and what must be done by hand."""
    with open(old, encoding="utf-8", newline="") as file:
        source = file.read()
    done = upgrade(source, str(old))
    new.parent.mkdir(parents=True, exist_ok=True)
    with open(new, "w", encoding="utf-8", newline="") as file:
        file.write(done.text)
    return _report(old, new, source, done), [f"{old}:{line}: {text}" for line, text in done.errors]


def _head(old: Path, new: Path) -> str:
    return f"{'=' * 80}\nProcessing file {str(old)!r}\n outputting to {str(new)!r}\n{'=' * 80}\n\n"


def _report(old: Path, new: Path, source: str, done: Upgraded) -> str:
    text = _head(old, new)
    before, after = source.splitlines(), done.text.splitlines()
    for line in sorted({edit.start[0] for edit in done.edits}):
        edits = [edit for edit in done.edits if edit.start[0] == line]
        text += f"{_RULE}{str(old)!r} Line {line}\n{_RULE}\n"
        text += "".join(f"{edit.note}\n" for edit in edits)
        text += f"\n    Old: {before[line - 1]}\n    New: {after[line - 1]}\n\n"
    return text


if __name__ == "__main__":
    sys.exit(main())
