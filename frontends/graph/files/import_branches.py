"""Conditionals of graph definitions: Switch and Merge as a choice between two computed values.

A Switch hands its input to one of two branches, a Merge takes what comes out of the branch that
ran.  Where no branch changes anything it is the same to compute both and to select.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.files.import_resources import MERGED, SIDE, is_handle
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.statics import static_array
from tensorkiln.frontends.graph.tensor import Tensor

Sides: TypeAlias = "frozenset[tuple[Tensor, bool]]"
"""Conditions, and whether they hold: the branches that an op is part of."""


def _switch(node: Node) -> Sequence[Tensor]:
    """An Identity for each branch, marked with the condition and the side."""
    data, condition = node.inputs
    kind = "PassVariable" if is_handle(node) else "Identity"
    while condition.op.type == "Identity" and SIDE not in condition.op.attributes:
        condition = condition.op.inputs[0]
    false = node.helper("false", kind, (data,), {SIDE: (condition, False)})
    true = node.operation(kind, (data,), {SIDE: (condition, True)}).outputs[0]
    return (false, true)


def _merge(node: Node) -> Sequence[Tensor]:
    """The input whose branch runs; the second output is its position."""
    if len(node.inputs) == 1:
        return node.operation("Merge", node.inputs, {}).outputs
    if len(node.inputs) != 2:
        raise ValueError(f"it merges {len(node.inputs)} branches; only two can be read")
    first, second = (_sides(tensor.op) for tensor in node.inputs)
    conditions = [
        condition
        for condition, side in first
        if (condition, not side) in second
        and (condition, not side) not in first
        and (condition, side) not in second
    ]
    if len(conditions) != 1:
        raise ValueError("its inputs are not the two branches of one condition")
    (condition,) = conditions
    for tensor in node.inputs:
        _check_pure(tensor.op)
    around = frozenset(item for item in first | second if item[0] is not condition)
    mark = {MERGED: around}
    on_true, on_false = node.inputs if (condition, True) in first else node.inputs[::-1]
    known = static_array(condition)
    if known is not None:
        chosen = on_true if bool(known.reshape(())) else on_false
        result = node.operation("Identity", (chosen,), mark).outputs[0]
    else:
        inputs = (condition, on_true, on_false)
        result = node.operation("Select", inputs, mark).outputs[0]
    taken = (
        condition if on_true is node.inputs[1] else node.helper("not", "LogicalNot", (condition,))
    )
    position = {"DstT": dtypes.int32, "Truncate": False, MERGED: around}
    return (result, node.helper("value_index", "Cast", (taken,), position))


def _sides(op: Operation) -> Sides:
    """The branches that the data of an op comes from; what has none of its own, a constant, is in
    the branch that it waits for."""
    found: set[tuple[Tensor, bool]] = set()
    for current in _reached(op, data_only=True):
        mark = current.attributes.get(SIDE)
        if isinstance(mark, tuple):
            found.add(mark)
        merged = current.attributes.get(MERGED)
        if isinstance(merged, frozenset):
            found |= merged
    return frozenset(found)


def _reached(op: Operation, data_only: bool) -> list[Operation]:
    """The ops that `op` depends on, up to merged branches, whose own ops are left out."""
    seen = {op: None}
    waiting = [op]
    while waiting:
        current = waiting.pop()
        if MERGED in current.attributes:
            continue
        for source in _before(current, data_only):
            if source not in seen:
                seen[source] = None
                waiting.append(source)
    return list(seen)


def _before(op: Operation, data_only: bool) -> Iterable[Operation]:
    yield from (tensor.op for tensor in op.inputs)
    if not data_only or not op.inputs:
        yield from op.control_inputs


def _check_pure(op: Operation) -> None:
    """ValueError if an op of a branch changes a variable: both branches are computed."""
    for current in _reached(op, data_only=False):
        if current.kind.writes and _sides(current):
            raise ValueError(f"the branch of {current.name!r} changes a variable")


BUILDERS: dict[str, Build] = {
    "Merge": _merge, "RefMerge": _merge, "RefSwitch": _switch, "Switch": _switch,
}  # fmt: skip
