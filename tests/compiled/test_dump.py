"""Dumps stay below the folder that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorkiln.compiler.dump import Dump
from tensorkiln.compiler.environment import DUMP


@pytest.mark.parametrize("name", ["../../escape", "/etc/x", "..", "", "a" * 5000])
def test_a_model_name_cannot_lead_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DUMP, str(tmp_path))
    dump = Dump.from_environment(name)
    dump.write("stage", "txt", lambda: "text")
    (folder,) = tmp_path.iterdir()
    assert (folder / "00-stage.txt").read_text() == "text"


def test_nothing_is_written_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DUMP, raising=False)
    assert Dump.from_environment("model").folder is None
