"""Gradients of TensorFlow 2's branches and loops, rewritten to one op each.

There the gradient of an `If` or `While` is another one, whose functions are named for those of the
first: `f_grad_7` is the gradient of `f`, and in it `gradients/grad_ys_2` is the gradient of the third
differentiable result.  It reads what the first one saved.  Here it is a `SymbolicGradient` of the
first one's results for what enters it; what enters gets an Identity of its own, so that the
gradient counts the way through the branch or loop alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.frontends.graph.files.attributes import attribute_proto
from tensorkiln.frontends.graph.files.gradient_frames import is_zero
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.node_order import parse_input
from tensorkiln.frontends.graph.files.proto_graph import NodeDef
from tensorkiln.frontends.graph.files.signatures import MARK

_KEYS = {
    "If": "then_branch",
    "StatelessIf": "then_branch",
    "While": "body",
    "StatelessWhile": "body",
}
_TYPES = {"If": "Tin", "StatelessIf": "Tin", "While": "T", "StatelessWhile": "T"}
_FLOATS = frozenset((1, 2, 14, 19))
_RESOURCE, _VARIANT = 20, 21
_COTANGENT = re.compile(r"gradients/grad_ys_(\d+)")


@dataclass(frozen=True)
class _Pair:
    """A gradient and what it is the gradient of; places of inputs and outputs that belong
    together: of the first one's results and the gradient's cotangents, of what enters and the
    gradient's results."""

    forward: Proto
    gradient: Proto
    results: Sequence[tuple[int, int]]
    entries: Sequence[tuple[int, int]]


class Gradients:
    """Rewrites the gradients among nodes of one level."""

    def __init__(self, functions: Mapping[str, Proto]) -> None:
        self._functions = functions
        self._values: set[str] = set()

    def rewritten(self, given: Iterable[Proto], renamed: dict[str, str]) -> list[Proto]:
        """The nodes, with gradients as ops of their own; `renamed` gets their results' new
        places."""
        nodes = {str(node.name): NodeDef.FromString(node.SerializeToString()) for node in given}
        for pair in self._pairs(nodes):
            self._replace(nodes, pair, renamed)
        for node in nodes.values():
            if node.op == "ReadVariableOp" and node.input[0] in self._values:
                node.op = "Identity"
                node.attr.pop("dtype", None)
        return list(nodes.values())

    def _pairs(self, nodes: Mapping[str, Proto]) -> list[_Pair]:
        running: dict[str, Proto] = {}
        for node in nodes.values():
            if node.op in _KEYS and MARK not in node.attr:
                name = str(node.attr[_KEYS[node.op]].func.name)
                running[name.removesuffix("_rewritten")] = node
        found = []
        for name, node in running.items():
            stem, mark, _ = name.rpartition("_grad_")
            first = running.get(stem.removesuffix("_rewritten")) if mark else None
            pair = None if first is None else self._pair(first, node)
            if pair is not None:
                found.append(pair)
        return found

    def _pair(self, forward: Proto, gradient: Proto) -> _Pair | None:
        function = self._functions.get(str(gradient.attr[_KEYS[gradient.op]].func.name))
        if function is None:
            return None
        arguments = [str(a.name) for a in function.signature.input_arg]
        offset = 1 if gradient.op.endswith("If") else 0
        cotangents: dict[int, int] = {}
        for node in function.node_def:
            match = _COTANGENT.fullmatch(node.name)
            if match and node.input[0] in arguments:
                cotangents[int(match[1])] = arguments.index(node.input[0]) + offset
        given = [cotangents[k] for k in sorted(cotangents)]
        types = list(forward.attr[_TYPES[forward.op]].list.type)
        if offset:
            wanted = [k for k, t in enumerate(forward.attr["Tout"].list.type) if t in _FLOATS]
            if len(wanted) != len(given):
                return None
            entries = [(k + 1, k) for k, t in enumerate(types) if t in (*_FLOATS, _RESOURCE)]
            return _Pair(forward, gradient, list(zip(wanted, given, strict=True)), entries)
        trained = [k for k, t in enumerate(types) if t in (*_FLOATS, _RESOURCE, _VARIANT)]
        pairs = list(zip(trained, given, strict=False))
        results = [(k, c) for k, c in pairs if types[k] != _RESOURCE]
        return _Pair(forward, gradient, results, pairs)

    def _replace(self, nodes: dict[str, Proto], pair: _Pair, renamed: dict[str, str]) -> None:
        forward, gradient = pair.forward, pair.gradient
        inputs = [str(text) for text in gradient.input]
        weighted = [(k, inputs[c]) for k, c in pair.results if not is_zero(nodes, inputs[c])]
        entered = [self._separate(nodes, forward, k, gradient) for k, _ in pair.entries]
        made = NodeDef(name=f"{gradient.name}/of_all", op="SymbolicGradient")
        made.input.extend(_output(str(forward.name), k) for k, _ in weighted)
        made.input.extend(entered)
        made.input.extend(text for _, text in weighted)
        made.attr["ys"].i, made.attr["xs"].i = len(weighted), len(entered)
        places = tuple(range(len(weighted)))
        made.attr["weighted"].CopyFrom(attribute_proto(places, "ints"))
        made.attr[MARK].b = True
        del nodes[str(gradient.name)]
        nodes[str(made.name)] = made
        waiting = NodeDef(name=gradient.name, op="NoOp", input=[f"^{made.name}"])
        nodes[str(gradient.name)] = waiting
        for number, (_, place) in enumerate(pair.entries):
            renamed[_output(str(gradient.name), place)] = _output(str(made.name), number)

    def _separate(
        self, nodes: dict[str, Proto], forward: Proto, place: int, gradient: Proto
    ) -> str:
        """Puts an Identity before what enters at a place; a variable is read there."""
        name = f"{gradient.name}/entered_{place}"
        source = str(forward.input[place])
        handle = nodes.get(parse_input(source)[0])
        if handle is not None and handle.op == "VarHandleOp":
            value = NodeDef(name=f"{name}/read", op="ReadVariableOp", input=[source])
            value.attr["dtype"].type = handle.attr["dtype"].type
            nodes[str(value.name)] = value
            source = str(value.name)
            self._values.add(name)
            types = forward.attr[_TYPES[forward.op]].list.type
            types[place - (1 if forward.op.endswith("If") else 0)] = handle.attr["dtype"].type
        nodes[name] = NodeDef(name=name, op="Identity", input=[source])
        forward.input[place] = name
        return name


def _output(name: str, place: int) -> str:
    return f"{name}:{place}" if place else name
