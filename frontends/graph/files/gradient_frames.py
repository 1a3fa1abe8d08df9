"""Gradients of TensorFlow 1's loops, rewritten to one op before the loops themselves are.

There the gradient of a loop is a loop that runs backwards and pops from stacks what the first one
pushed.  Here it is a `SymbolicGradient` of the loop's results for the values that enter it.  Which
node belongs to which is told by names, which `tf.gradients` makes by one rule:

    P/while/Exit_1_grad/b_exit     takes in the gradient of while/Exit_1
    P/while/Enter_1_grad/Exit      gives the gradient of what while/Enter_1 takes in
    P/while/x/Enter_grad/b_acc_3   that of a value that is the same in all trips

Values that enter get an Identity of their own, so that the gradient counts their way through the
loop alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.frontends.graph.files.attributes import attribute_proto
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.node_order import parse_input
from tensorkiln.frontends.graph.files.proto_graph import GraphDef, NodeDef
from tensorkiln.frontends.graph.files.signatures import MARK
from tensorkiln.frontends.graph.files.tensor_proto import make_ndarray

_RESOURCE = 20
_ENTERS, _EXITS = ("Enter", "RefEnter"), ("Exit", "RefExit")
_STACKS = frozenset(
    ("Stack", "StackV2", "StackPush", "StackPushV2", "StackPop", "StackPopV2", "StackClose",
     "StackCloseV2")
)  # fmt: skip
_GRADIENT = re.compile(r"_grad(_\d+)?$")


@dataclass(frozen=True)
class _Backward:
    """A loop that goes back: all its nodes; for each result of the forward loop the Enter that
    takes its gradient in; for each value that enters that loop the Exit with its gradient."""

    nodes: frozenset[str]
    cotangents: Mapping[str, str]
    results: Mapping[str, str]


def without_gradient_frames(definition: Proto) -> Proto:
    """The definition with the gradients of its loops rewritten; itself if it has none.

    Loops that go back in another way than `tf.gradients` makes them stay as they are.
    """
    if not any(node.op in _STACKS or node.name.endswith("/b_exit") for node in definition.node):
        return definition
    nodes = {str(node.name): NodeDef.FromString(node.SerializeToString())
             for node in definition.node}  # fmt: skip
    readers = _readers(nodes)
    frames: dict[bytes, list[str]] = {}
    for name, node in nodes.items():
        if node.op in _ENTERS:
            frames.setdefault(node.attr["frame_name"].s, []).append(name)
    found = [_backward(nodes, readers, enters) for enters in frames.values()]
    backward = [item for item in found if item is not None]
    # Gradients of inner loops are part of those of outer ones.
    for item in sorted(backward, key=lambda item: -len(item.nodes)):
        if item.nodes <= set(nodes):
            _replace(nodes, item)
    _drop_stacks(nodes)
    result = GraphDef(versions=definition.versions, library=definition.library)
    result.node.extend(nodes.values())
    return result


def _readers(nodes: Mapping[str, Proto]) -> dict[str, list[str]]:
    readers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for text in node.input:
            readers.setdefault(parse_input(text)[0], []).append(name)
    return readers


def _backward(
    nodes: Mapping[str, Proto], readers: Mapping[str, Sequence[str]], enters: Sequence[str]
) -> _Backward | None:
    cotangents = {
        forward: enter
        for enter in enters
        if re.search(r"/b_exit(_\d+)?$", enter)
        for forward in _forward(nodes, enter, _EXITS)
    }
    if not cotangents:
        return None
    inside, exits = _inside(nodes, readers, enters)
    results: dict[str, str] = {}
    for leave in exits:
        for forward in _forward(nodes, leave, _ENTERS):
            if forward in results:
                return None  # rows of a table, which are several tensors
            results[forward] = leave
    read = {leave for leave in exits if any(r not in inside for r in readers.get(leave, ()))}
    loops = {nodes[enter].attr["frame_name"].s for enter in results}
    if len(loops) != 1 or not read <= set(results.values()):
        return None
    return _Backward(frozenset(inside), cotangents, results)


def _forward(nodes: Mapping[str, Proto], name: str, kinds: Sequence[str]) -> Iterator[str]:
    """The node of the forward loop that a node of the gradient is named for, if there is one."""
    parts = name.split("/")
    for end in range(len(parts) - 1, 0, -1):
        if not _GRADIENT.search(parts[end - 1]):
            continue
        named = [*parts[: end - 1], _GRADIENT.sub("", parts[end - 1])]
        for start in range(len(named)):
            label = "/".join(named[start:])
            if label in nodes and nodes[label].op in kinds:
                yield label
                return


def _inside(
    nodes: Mapping[str, Proto], readers: Mapping[str, Sequence[str]], enters: Sequence[str]
) -> tuple[set[str], list[str]]:
    """All nodes of a frame, those of inner frames too, and its Exit nodes among them."""
    depth = dict.fromkeys(enters, 1)
    exits: list[str] = []
    waiting = list(enters)
    while waiting:
        name = waiting.pop()
        if depth[name] == 0:
            exits.append(name)
            continue
        for reader in readers.get(name, ()):
            if reader not in depth:
                step = (nodes[reader].op in _ENTERS) - (nodes[reader].op in _EXITS)
                depth[reader] = depth[name] + step
                waiting.append(reader)
    return set(depth), exits


def _replace(nodes: dict[str, Proto], item: _Backward) -> None:
    weighted = {
        result: str(nodes[enter].input[0])
        for result, enter in item.cotangents.items()
        if not is_zero(nodes, nodes[enter].input[0])
    }
    results, weights = list(weighted), list(weighted.values())
    name = min(item.cotangents.values())
    entered = [_separate(nodes, enter, f"{name}/entered_{k}")
               for k, enter in enumerate(item.results)]  # fmt: skip
    renamed = {leave: f"{name}:{k}" for k, leave in enumerate(item.results.values())}
    for gone in item.nodes:
        del nodes[gone]
    gradient = NodeDef(name=name, op="SymbolicGradient", input=[*results, *entered, *weights])
    for key, value in (("ys", len(results)), ("xs", len(entered))):
        gradient.attr[key].i = value
    gradient.attr["weighted"].CopyFrom(attribute_proto(tuple(range(len(weights))), "ints"))
    gradient.attr[MARK].b = True
    nodes[name] = gradient
    for node in nodes.values():
        _rename(node, renamed, item.nodes)


def _rename(node: Proto, renamed: Mapping[str, str], gone: frozenset[str]) -> None:
    """Lets a node read the new tensors and wait for nothing that is gone."""
    inputs = []
    for text in node.input:
        source, index = parse_input(text)
        if source in renamed:
            inputs.append(renamed[source] if index is not None else f"^{renamed[source][:-2]}")
        elif source not in gone or index is not None:
            inputs.append(text)
    del node.input[:]
    node.input.extend(inputs)


def _separate(nodes: dict[str, Proto], enter: str, name: str) -> str:
    """Puts an Identity in front of an Enter; a variable that enters is read before the loop."""
    node = nodes[enter]
    source = str(node.input[0])
    if node.attr["T"].type == _RESOURCE:
        handles = _handed_on(nodes, enter)
        reads = [other for other in nodes.values()
                 if other.op == "ReadVariableOp" and parse_input(other.input[0])[0] in handles]  # fmt: skip
        if reads:
            value = NodeDef(name=f"{name}/read", op="ReadVariableOp", input=[source])
            value.attr["dtype"].type = dtype = reads[0].attr["dtype"].type
            nodes[value.name] = value
            for other in reads:
                other.op = "Identity"
                other.attr.pop("dtype")
            for handle in handles:
                nodes[handle].attr["T"].type = dtype
            source = str(value.name)
    nodes[name] = NodeDef(name=name, op="Identity", input=[source])
    node.input[0] = name
    return name


def _handed_on(nodes: Mapping[str, Proto], enter: str) -> set[str]:
    """An Enter of a handle and what takes it into inner loops and branches."""
    found, more = {enter}, {enter}
    while more:
        more = {
            name for name, node in nodes.items()
            if node.op in (*_ENTERS, "Switch") and parse_input(node.input[0])[0] in more
        } - found  # fmt: skip
        found |= more
    return found


def is_zero(nodes: Mapping[str, Proto], text: str) -> bool:
    """True for the gradient of a result that the loss does not depend on."""
    source, index = parse_input(text)
    node = nodes.get(source)
    if node is None or index is None or node.op not in ("Const", "Fill", "ZerosLike"):
        return False
    if node.op == "Fill":
        return is_zero(nodes, node.input[1])
    return node.op == "ZerosLike" or not make_ndarray(node.attr["value"].tensor).any()


def _drop_stacks(nodes: dict[str, Proto]) -> None:
    """Takes out stacks and what hands them on, if nobody pops from them any more."""
    if any(node.op.startswith("StackPop") for node in nodes.values()):
        return
    gone = {name for name, node in nodes.items() if node.op in _STACKS}
    while True:
        more = {
            name
            for name, node in nodes.items()
            if node.op in (*_ENTERS, "Switch") and parse_input(node.input[0])[0] in gone
        } - gone
        if not more:
            break
        gone |= more
    for name in gone:
        del nodes[name]
    for node in nodes.values():
        _rename(node, {}, frozenset(gone))
