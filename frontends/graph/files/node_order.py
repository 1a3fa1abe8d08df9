"""The nodes of a graph definition in an order in which inputs come first."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from tensorkiln.frontends.graph.files.graph_errors import BrokenGraphError
from tensorkiln.frontends.graph.files.messages import Proto


def parse_input(text: str) -> tuple[str, int | None]:
    """The node and the output of an input `node`, `node:2` or `^node` (None: after it has run)."""
    if text.startswith("^"):
        return text[1:], None
    name, colon, index = text.rpartition(":")
    if not colon:
        return text, 0
    if not (index.isascii() and index.isdigit() and len(index) < 10):
        raise BrokenGraphError(f"{text!r} is no name of a tensor")
    return name, int(index)


def in_order(graph_def: Proto) -> list[Proto]:
    """The nodes, inputs first, otherwise as they stand in the definition.

    ModelError for names given twice, inputs that are not there, and cycles.
    """
    ordered = order_of(graph_def, lambda node: True)
    if len(ordered) < len(graph_def.node):
        done = {node.name for node in ordered}
        stuck = [node.name for node in graph_def.node if node.name not in done]
        shown = ", ".join(repr(name) for name in stuck[:5])
        raise BrokenGraphError(f"the graph has a cycle through {shown}: loops cannot be read")
    return ordered


def order_of(graph_def: Proto, accepts: Callable[[Proto], bool]) -> list[Proto]:
    """The nodes in order, without those that are not accepted, that lie on a cycle, or that
    depend on such nodes."""
    nodes: dict[str, Proto] = {}
    for node in graph_def.node:
        if node.name in nodes:
            raise BrokenGraphError(f"the graph has two nodes named {node.name!r}")
        nodes[node.name] = node
    waiting: dict[str, int] = {}
    readers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        sources = {parse_input(text)[0] for text in node.input}
        waiting[name] = len(sources)
        for source in sources:
            if source not in nodes:
                raise BrokenGraphError(f"node {name!r} reads {source!r}, which is not in the graph")
            readers.setdefault(source, []).append(name)
    place = {name: number for number, name in enumerate(nodes)}
    ready = [(place[name], name) for name, count in waiting.items() if not count]
    heapify(ready)
    ordered: list[Proto] = []
    while ready:
        _, name = heappop(ready)
        if not accepts(nodes[name]):
            continue
        ordered.append(nodes[name])
        for reader in readers.get(name, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                heappush(ready, (place[reader], reader))
    return ordered
