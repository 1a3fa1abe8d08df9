"""Which rows are measured: names, patterns, and files of the user."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import onnx

from tensorkiln.benchmarks.suite import SUITE, Row
from tensorkiln.frontends.cli.commands import UsageError
from tensorkiln.frontends.onnx.load import load_model

CEILINGS = "ceilings"
SESSION = "overhead_session"
C_CALL = "overhead_c"
# Rows that are no models.
OTHERS = (CEILINGS, SESSION, C_CALL)
_LONG = ("growth", "compile")


def chosen(names: Sequence[str]) -> list[Row | str]:
    """Rows of the suite and names of `OTHERS` that names and patterns (`*`, `?`) choose, in the
    suite's order, and ONNX files; without names everything but the rows of growing sizes.

    UsageError for a name or pattern that chooses nothing; the errors of files are told here.
    """
    every: dict[str, Row | str] = {**{name: name for name in OTHERS}, **{r.name: r for r in SUITE}}
    if not names:
        return [r for r in every.values() if not (isinstance(r, Row) and r.group in _LONG)]
    files: list[Row | str] = []
    wanted: set[str] = set()
    for name in names:
        if name.endswith(".onnx"):
            load_model(name)
            files.append(Row(Path(name).stem, partial(onnx.load, name)))
            continue
        found = [known for known in every if fnmatchcase(known, name)]
        if not found:
            raise UsageError(f"the suite has no row {name!r}; see `tensorkiln bench --list`")
        wanted.update(found)
    return [*files, *(row for name, row in every.items() if name in wanted)]


def listing() -> str:
    """All names, by group."""
    groups = {row.group: "" for row in SUITE}
    lines = [f"others: {' '.join(OTHERS)}"]
    for group in groups:
        lines.append(f"{group}: {' '.join(row.name for row in SUITE if row.group == group)}")
    return "\n".join(lines)
