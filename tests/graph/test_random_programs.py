"""Random programs of the API: compiled, they give what the interpreter gives, gradients included.

`--random-functions N` looks at N programs instead of a few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from graph import programs
from graph.conftest import new_session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorkiln as tf

NUMBER = st.integers(0, 999)
STEPS = st.lists(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), min_size=4, max_size=12)


def check(steps: Sequence[programs.Step]) -> None:
    with tf.Graph().as_default():
        inputs, made, slopes = programs.build(tf, steps)
        if not made:
            return
        found = []
        for interpreted in (True, False):
            with new_session(interpreted) as session:
                found.append(session.run([*made, *slopes], programs.feeds(inputs)))
    for tensor, expected, value in zip([*made, *slopes], *found, strict=True):
        scale = float(np.abs(expected).max(initial=1.0))
        np.testing.assert_allclose(
            value, expected, rtol=2e-4, atol=2e-5 * scale, err_msg=tensor.name
        )


def test_compiled_programs(request: pytest.FixtureRequest) -> None:
    asked = int(request.config.getoption("--random-functions"))
    limits = settings(
        max_examples=asked or 10, deadline=None, derandomize=not asked, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    limits(given(STEPS)(check))()


@pytest.mark.parametrize("name", programs.OPS)
def test_every_op_makes_something(name: str) -> None:
    """On every shape: so that no op is left out of all programs."""
    number = list(programs.OPS).index(name)
    steps = [(number, place, place + 1, 1) for place in range(len(programs.SHAPES))]
    with tf.Graph().as_default():
        _, made, slopes = programs.build(tf, steps)
        assert len(made) >= len(programs.SHAPES) - 2
        assert slopes
