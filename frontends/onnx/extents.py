"""Tensors whose size along one axis only a run knows: padded to a bound, with the number meant.

NonMaxSuppression, NonZero, Compress, Unique and TopK make them.  What operators do with them is one
table here: for each, where the axis goes, or what must happen to the padding first.  What reads the
padding in no such way is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_to,
    compare,
    full_like,
    iota,
    scalar,
    select,
)
from tensorkiln.frontends.onnx.node import Lower, Node
from tensorkiln.frontends.onnx.operand import (
    Bounded,
    ConstantNeeded,
    Extent,
    Operand,
    Result,
    Results,
    as_sequence,
)


def has_extents(node: Node) -> bool:
    """True if the size of an operand is open."""
    return any(operand.extent for operand in node.tensors)


def refused(node: Node) -> ConstantNeeded:
    """The error for an operator that cannot read such a tensor."""
    found = next(operand for operand in node.tensors if operand.extent)
    return cannot_read(str(node), found)


def cannot_read(reader: str, operand: Operand) -> ConstantNeeded:
    """The error for a `reader` that cannot read such an operand."""
    extent = operand.extent
    assert extent is not None
    names = ", ".join(map(repr, sorted(operand.inputs)))
    return ConstantNeeded(
        f"{reader} reads {operand.name!r}, whose size along axis {extent.axis} only a run knows "
        f"(at most {operand.shape[extent.axis]}), and cannot be compiled for such a tensor; it "
        f"depends on the model's input {names}: give its value in constants",
        operand.inputs,
    )


def first_only(node: Node) -> tuple[Operand, Extent]:
    """Operand 0 and its extent; refused where another one has an extent."""
    x = node.operand(0)
    if x.extent is None or any(o.extent for o in node.tensors if o is not x):
        raise refused(node)
    return x, x.extent


def with_operand(node: Node, value: Value, index: int = 0) -> Node:
    """The node with another operand `index`, all of which is meant."""
    operands = list(node.operands)
    operands[index] = Operand(node.operand(index).name, value=value)
    return replace(node, operands=tuple(operands))


def marked(node: Node, results: Results, extents: Sequence[Extent | None]) -> list[Result]:
    """Results with their extents."""
    several = as_sequence(results)
    if any(isinstance(r, Bounded) for r in several):
        raise refused(node)
    marked_: list[Result] = []
    for result, extent in zip(several, extents, strict=False):
        if extent is None:
            marked_.append(result)
            continue
        operand = result if isinstance(result, Operand) else None
        value = operand.value(node.builder) if operand else result
        assert isinstance(value, Value)
        marked_.append(Bounded(value, extent))
    return marked_


def meant(builder: Builder, shape: Sequence[int], extent: Extent) -> Value:
    """Where a tensor of `shape` is meant, as bool[shape]."""
    places = iota(builder, shape, extent.axis, I64)
    return compare(builder, "LT", places, broadcast_to(builder, extent.number, shape))


def filled(builder: Builder, operand: Operand, filler: bool | int | float) -> Value:
    """The operand with `filler` as its padding."""
    x = operand.value(builder)
    assert operand.extent is not None
    kept = meant(builder, operand.shape, operand.extent)
    return select(builder, kept, x, full_like(builder, x, filler))


def dropped(builder: Builder, number: Value, count: int) -> Value:
    """An i64 scalar less `count`, and not below zero."""
    less = binary(builder, "subtract", number, scalar(builder, count, I64))
    return binary(builder, "maximum", less, scalar(builder, 0, I64))


def refuse(node: Node, lower: Lower) -> Results:
    """The rule of all operators without one."""
    del lower
    raise refused(node)


def same_layout(node: Node, lower: Lower) -> Results:
    """All results are laid out as operand 0."""
    _, extent = first_only(node)
    results = as_sequence(lower(node))
    return marked(node, results, [extent] * len(results))


def times(builder: Builder, number: Value, count: int) -> Value:
    """An i64 scalar times `count`."""
    if count == 1:
        return number
    return binary(builder, "multiply", number, scalar(builder, count, I64))
