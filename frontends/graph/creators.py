"""Functions of the program that take part in making variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tensorkiln.frontends.graph.stack import get_default_graph

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.graph import Graph

_KEY = "variable creators"
Creator = Callable[..., Any]


@contextmanager
def variable_creator_scope(variable_creator: Creator) -> Iterator[None]:
    """Variables made inside of the block are made by `variable_creator(next_creator, **options)`.

    The options are those of `tf.Variable`; the inner scope's creator is asked first, and what it
    calls as `next_creator` is that of the scope around it, or `tf.Variable` itself.
    """
    graph = get_default_graph()
    before = creators_of(graph)
    graph.scoped[_KEY] = (*before, variable_creator)
    try:
        yield
    finally:
        graph.scoped[_KEY] = before


def creators_of(graph: Graph) -> tuple[Creator, ...]:
    """The creators of the current scopes, outermost first."""
    found = graph.scoped.get(_KEY, ())
    assert isinstance(found, tuple)
    return found
