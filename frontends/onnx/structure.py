"""Checks of a graph's wiring, and its nodes in data-flow order.

G1 names are defined once; G2 what a node or the graph's output reads is defined; G3 there is no
cycle.  An initializer may share its name with an input, which it gives a value (IR version 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, GraphProto, NodeProto

from tensorkiln.runtime.errors import ModelError


def node_label(node: NodeProto) -> str:
    """The node's name, or that of its first result where it has none."""
    return str(node.name) or next((str(o) for o in node.output if o), "")


def describe(node: NodeProto) -> str:
    """How errors speak of a node: `node 'conv1' (Conv)`."""
    return f"node {node_label(node)!r} ({node.op_type})"


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs in a node's attributes."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def differentiated(node: NodeProto) -> list[str]:
    """The tensor that a Gradient node names in an attribute and differentiates."""
    if (node.op_type, node.domain) != ("Gradient", "ai.onnx.preview.training"):
        return []
    return [a.s.decode("utf-8", "replace") for a in node.attribute if a.name == "y" and a.s]


def reads(node: NodeProto) -> list[str]:
    """The names a node reads, those its subgraphs capture included, without repeats."""
    found = dict.fromkeys(str(name) for name in node.input if name)
    found.update(dict.fromkeys(differentiated(node)))
    for graph in subgraphs(node):
        found.update(dict.fromkeys(captures(graph)))
    return list(found)


def captures(graph: GraphProto) -> list[str]:
    """The names a subgraph reads from around it."""
    inside = {value.name for value in graph.input} | {t.name for t in graph.initializer}
    inside.update(t.values.name for t in graph.sparse_initializer)
    inside.update(name for node in graph.node for name in node.output)
    read = [name for node in graph.node for name in reads(node)]
    read += [value.name for value in graph.output]
    return [name for name in dict.fromkeys(read) if name not in inside]


def ordered_nodes(
    nodes: Iterable[NodeProto], defined: Iterable[str], outputs: Iterable[str], where: str
) -> list[NodeProto]:
    """The nodes that `outputs` need, each after what it reads; ModelError breaks G1, G2 or G3.

    `defined` are the names known before any node runs; `where` names the graph.
    """
    nodes, known = list(nodes), set(defined)
    producer = _producers(nodes, known, where)
    for node in nodes:
        for name in reads(node):
            if name not in producer and name not in known:
                raise ModelError(
                    f"{describe(node)} reads {name!r}, which nothing in {where} defines"
                )
    needed: list[str] = []
    for name in outputs:
        if name not in producer and name not in known:
            raise ModelError(f"{where} returns {name!r}, which nothing in it defines")
        needed.append(name)
    return _sorted(nodes, producer, needed, where)


def _producers(nodes: list[NodeProto], known: set[str], where: str) -> dict[str, int]:
    producer: dict[str, int] = {}
    for position, node in enumerate(nodes):
        for name in node.output:
            if not name:
                continue
            if name in producer:
                other = describe(nodes[producer[name]])
                raise ModelError(f"{describe(node)} and {other} both define {name!r}")
            if name in known:
                raise ModelError(
                    f"{describe(node)} defines {name!r}, which is an input or initializer of {where}"
                )
            producer[name] = position
    return producer


def _sorted(
    nodes: list[NodeProto], producer: dict[str, int], outputs: list[str], where: str
) -> list[NodeProto]:
    """Depth first from the outputs, without recursion: model graphs are thousands of nodes deep."""
    done: set[int] = set()
    open_: dict[int, None] = {}
    for start in sorted({producer[name] for name in outputs if name in producer}):
        stack = [(start, iter(_sources(nodes[start], producer)))]
        if start in done:
            continue
        open_[start] = None
        while stack:
            position, sources = stack[-1]
            source = next((s for s in sources if s not in done), None)
            if source is None:
                stack.pop()
                open_.pop(position)
                done.add(position)
            elif source in open_:
                cycle = list(open_)[list(open_).index(source) :]
                names = ", ".join(describe(nodes[p]) for p in cycle[:8])
                raise ModelError(f"{where} has a cycle through {names}")
            else:
                open_[source] = None
                stack.append((source, iter(_sources(nodes[source], producer))))
    return _stable(nodes, done, producer)


def _sources(node: NodeProto, producer: dict[str, int]) -> list[int]:
    return [producer[name] for name in reads(node) if name in producer]


def _stable(nodes: list[NodeProto], kept: set[int], producer: dict[str, int]) -> list[NodeProto]:
    """The kept nodes in their own order, if it respects data flow, else each moved after what it reads."""
    result: list[NodeProto] = []
    placed: set[int] = set()
    for first in sorted(kept):
        stack = [first]
        while stack:
            position = stack[-1]
            missing = [s for s in _sources(nodes[position], producer) if s not in placed]
            if position in placed:
                stack.pop()
            elif missing:
                stack.extend(reversed(missing))
            else:
                placed.add(stack.pop())
                result.append(nodes[position])
    return result
