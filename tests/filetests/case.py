"""One file test: a header, a text that goes in, and the exact text that comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

SEPARATOR = "===="


@dataclass(frozen=True)
class Case:
    """`comment` is the `#` lines on top; `options` the `key: value` lines below them."""

    path: Path
    comment: str
    options: dict[str, str]
    text: str
    expected: str

    def bless(self, output: str) -> None:
        """Writes the file with `output` as what is expected."""
        self.path.write_text(show(replace(self, expected=output)), encoding="utf-8")


def show(case: Case) -> str:
    """The file's content."""
    header = case.comment + "".join(f"{k}: {v}\n" for k, v in case.options.items())
    return f"{header}\n{case.text.strip()}\n\n{SEPARATOR}\n\n{case.expected.strip()}\n"


def read_case(path: Path) -> Case:
    """The case in a file; one without a separator expects nothing yet."""
    header, _, rest = path.read_text(encoding="utf-8").partition("\n\n")
    comments = [line for line in header.splitlines() if line.startswith("#")]
    options = {}
    for line in header.splitlines():
        if not line.startswith("#"):
            key, found, value = line.partition(":")
            if not found or key not in ("run", "compare"):
                raise ValueError(f"{path}: {line!r} is neither a comment nor an option")
            options[key] = value.strip()
    text, _, expected = rest.partition(f"\n{SEPARATOR}\n")
    comment = "".join(line + "\n" for line in comments)
    return Case(path, comment, options, text.strip() + "\n", expected.strip() + "\n")
