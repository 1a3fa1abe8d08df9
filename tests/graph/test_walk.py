"""Names, printed text, sessions and errors, walked along the interface line by line."""

from __future__ import annotations

import pytest
from graph import walk

import tensorkiln as tf

PROGRAMS = walk.read()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("title", PROGRAMS)
def test_programs(title: str) -> None:
    code, text = PROGRAMS[title]
    assert walk.answer(tf, code) == text
