"""Ops that stand outside of every loop and branch although the program makes them inside of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.operation import Operation

_LIFTED = "lifted operations"


@contextmanager
def lifted(graph: Graph) -> Iterator[None]:
    """What is made inside, a variable and its initial value, belongs to no region."""
    first = graph.version
    try:
        yield
    finally:
        _of(graph).update(graph.get_operations()[first:])


def is_lifted(op: Operation) -> bool:
    """True for ops that belong to no region."""
    return op in _of(op.graph)


def _of(graph: Graph) -> set[Operation]:
    found = graph.scoped.setdefault(_LIFTED, set())
    assert isinstance(found, set)
    return found
