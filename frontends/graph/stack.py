"""Which graph and which session are the default ones, per thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.graph import Graph
    from tensorkiln.frontends.graph.session import BaseSession


class _Defaults(threading.local):
    """The `with` stacks of one thread."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.sessions: list[BaseSession] = []


class _Process:
    """The graph that is the default where no `with` block says otherwise."""

    graph: Graph


_defaults = _Defaults()
_process = _Process()


def set_global_graph(graph: Graph) -> None:
    """Makes `graph` the default outside of all `with` blocks."""
    _process.graph = graph


def graphs() -> list[Graph]:
    """This thread's stack of default graphs."""
    return _defaults.graphs


def sessions() -> list[BaseSession]:
    """This thread's stack of default sessions."""
    return _defaults.sessions


def get_default_graph() -> Graph:
    """The graph that new ops go to."""
    return _defaults.graphs[-1] if _defaults.graphs else _process.graph


def get_default_session() -> BaseSession | None:
    """The session that `eval` and `Operation.run` use, or None."""
    return _defaults.sessions[-1] if _defaults.sessions else None
