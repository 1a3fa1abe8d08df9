"""Every case of the tables gives what TensorFlow gave: interpreted one by one, compiled at once."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from graph import like_tensorflow
from graph.conftest import new_session

import tensorkiln as tf

MODULES = {
    path.stem.removeprefix("cases_"): importlib.import_module(f"graph.{path.stem}")
    for path in sorted(Path(__file__).parent.glob("cases_*.py"))
}
TABLES = {family: table for family, table in MODULES.items() if hasattr(table, "CASES")}
FAMILIES = tuple(TABLES)
RECORDED = {family: like_tensorflow.load(family) for family in FAMILIES}
ALL = [(family, name) for family, table in TABLES.items() for name in table.CASES]


@pytest.mark.parametrize(("family", "name"), ALL)
def test_interpreted(family: str, name: str, session: Any) -> None:
    case = TABLES[family].CASES[name]
    like_tensorflow.compare(tf, RECORDED[family], name, case, session)


@pytest.mark.parametrize(("family", "name"), ALL)
def test_static_shapes_and_names(family: str, name: str) -> None:
    _, outputs = like_tensorflow.build(tf, TABLES[family].CASES[name])
    kept = RECORDED[family]
    like_tensorflow.check_shapes(kept, name, outputs)
    if getattr(TABLES[family], "OWN_NAMES", False):
        return
    other = getattr(TABLES[family], "OTHER_NAMES", {})
    names = [output.name for output in outputs]
    assert names == other.get(name, list(kept[f"{name}|names"]))


@pytest.mark.parametrize("family", FAMILIES)
def test_compiled(family: str) -> None:
    """One function holds many cases, so that compiling takes little time."""
    with new_session(interpreted=False) as session:
        like_tensorflow.compare_together(tf, RECORDED[family], TABLES[family].CASES, session)
