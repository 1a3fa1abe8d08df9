"""Every test has a graph of its own; `session` runs the interpreter, `sessions` both modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tensorkiln as tf


@pytest.fixture(autouse=True)
def graph() -> Iterator[Any]:
    with tf.Graph().as_default() as g:
        yield g


def new_session(interpreted: bool) -> Any:
    return tf.Session(
        config=tf.ConfigProto(interpreted=interpreted, intra_op_parallelism_threads=1)
    )


@pytest.fixture
def session() -> Iterator[Any]:
    with new_session(interpreted=True) as s:
        yield s


@pytest.fixture(params=["interpreted", "compiled"])
def any_session(request: pytest.FixtureRequest) -> Iterator[Any]:
    with new_session(request.param == "interpreted") as s:
        yield s


@pytest.fixture
def evaluate(session: Any) -> Callable[..., Any]:
    """Runs the initializers, then fetches."""

    def run(fetches: Any, feeds: Any = None) -> Any:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feeds)

    return run
