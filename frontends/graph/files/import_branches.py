"""Conditionals of graph definitions: Switch and Merge as a choice between two computed values.

A Switch hands its input to one of two branches, a Merge takes what comes out of the branch that
ran.  Where no branch changes anything it is the same to compute both and to select.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.statics import static_array
from tensorkiln.frontends.graph.tensor import Tensor

_SIDE = "_switch"


def _switch(node: Node) -> Sequence[Tensor]:
    """An Identity for each branch, marked with the condition and the side."""
    data, condition = node.inputs
    while condition.op.type == "Identity" and _SIDE not in condition.op.attributes:
        condition = condition.op.inputs[0]
    false = node.helper("false", "Identity", (data,), {_SIDE: (condition, False)})
    true = node.operation("Identity", (data,), {_SIDE: (condition, True)}).outputs[0]
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
    on_true, on_false = node.inputs if (condition, True) in first else node.inputs[::-1]
    known = static_array(condition)
    if known is not None:
        chosen = on_true if bool(known.reshape(())) else on_false
        result = node.operation("Identity", (chosen,), {}).outputs[0]
    else:
        result = node.operation("Select", (condition, on_true, on_false), {}).outputs[0]
    taken = (
        condition if on_true is node.inputs[1] else node.helper("not", "LogicalNot", (condition,))
    )
    position = {"DstT": dtypes.int32, "Truncate": False}
    return (result, node.helper("value_index", "Cast", (taken,), position))


def _sides(op: Operation) -> set[tuple[Tensor, bool]]:
    """The conditions and sides of all Switch nodes that an op depends on."""
    found: set[tuple[Tensor, bool]] = set()
    seen: set[Operation] = set()
    waiting = [op]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        mark = current.attributes.get(_SIDE)
        if isinstance(mark, tuple):
            found.add(mark)
        waiting += _before(current)
    if found:
        _check_pure(seen)
    return found


def _before(op: Operation) -> Iterable[Operation]:
    yield from (tensor.op for tensor in op.inputs)
    yield from op.control_inputs


def _check_pure(ops: Iterable[Operation]) -> None:
    for op in ops:
        if op.kind.writes and any(isinstance(_mark(o), tuple) for o in _before(op)):
            raise ValueError(f"the branch of {op.name!r} changes a variable")


def _mark(op: Operation) -> object:
    return op.attributes.get(_SIDE)


BUILDERS: dict[str, Build] = {"Merge": _merge, "Switch": _switch}
