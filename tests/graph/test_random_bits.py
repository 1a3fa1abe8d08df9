"""Equal bits of random numbers: what TensorFlow 2.21 drew on x86-64 with the GNU C library 2.36."""

from __future__ import annotations

import json

import pytest
from graph import random_bits
from graph.conftest import new_session

import tensorkiln as tf

RECORDED = json.loads(random_bits.RECORDED.read_text())


COMPILED = ("float16", "float32", "float64", "whole numbers")  # the others repeat their kernels


@pytest.mark.parametrize("name", random_bits.PROGRAMS)
def test_interpreted_bits_are_tensorflows(name: str) -> None:
    assert random_bits.draw(tf, name, lambda: new_session(True)) == RECORDED[name]


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_bits_are_tensorflows(name: str) -> None:
    assert random_bits.draw(tf, name, lambda: new_session(False)) == RECORDED[name]


def test_a_recording_for_every_program() -> None:
    assert RECORDED.keys() == random_bits.PROGRAMS.keys()
