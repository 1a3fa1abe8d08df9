"""What reductions, sorts and the like do with an operand whose size only a run knows: its padding
takes a value that changes nothing first (see extents.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tensorkiln.compiler.ir.dtypes import I64, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.reducers import extreme
from tensorkiln.compiler.ops.shorthand import (
    axes_of,
    axis_of,
    binary,
    convert,
    reduce_sum,
    scalar,
)
from tensorkiln.frontends.onnx.extents import (
    filled,
    first_only,
    marked,
    refused,
    same_layout,
    times,
    with_operand,
)
from tensorkiln.frontends.onnx.lowerings.movement import axes_attribute, axes_input
from tensorkiln.frontends.onnx.node import Lower, Node
from tensorkiln.frontends.onnx.operand import Bounded, Extent, Operand, Result, Results, as_sequence


def reduction(name: str, node: Node, lower: Lower) -> Results:
    """The reduction `name`, along the open axis or others."""
    x, extent = first_only(node)
    by_input = node.version >= (13 if name == "ReduceSum" else 18)
    given = axes_input(node, 1) if by_input else axes_attribute(node)
    if not given and node.integer("noop_with_empty_axes", 0):
        return same_layout(node, lower)
    axes, builder = axes_of(given or None, len(x.shape)), node.builder
    if extent.axis not in axes:
        dropped_ = 0 if node.integer("keepdims") else sum(a < extent.axis for a in axes)
        return marked(node, lower(node), [Extent(extent.axis - dropped_, extent.number)])
    if name == "ReduceMean":
        return _mean(node, x, extent, axes)
    fill = _NEUTRAL[name](x.dtype)
    return lower(with_operand(node, filled(builder, x, fill)))


def _mean(node: Node, x: Operand, extent: Extent, axes: Sequence[int]) -> Value:
    builder = node.builder
    total = reduce_sum(builder, filled(builder, x, 0), axes, bool(node.integer("keepdims")))
    others = math.prod(x.shape[a] for a in axes if a != extent.axis)
    count = convert(builder, times(builder, extent.number, others), x.dtype)
    return binary(builder, "divide", total, count)


def zero_of(dtype: DType) -> bool | int:
    """Zero, or False."""
    return False if dtype.kind == "bool" else 0


def _lowest(dtype: DType) -> bool | int | float:
    return False if dtype.kind == "bool" else extreme(dtype, lowest=True)


def _highest(dtype: DType) -> bool | int | float:
    return True if dtype.kind == "bool" else extreme(dtype, lowest=False)


def _one(dtype: DType) -> int:
    return 1


_NEUTRAL: dict[str, Callable[[DType], bool | int | float]] = {
    "ReduceSum": zero_of,
    "ReduceSumSquare": zero_of,
    "ReduceL1": zero_of,
    "ReduceL2": zero_of,
    "ReduceLogSum": zero_of,
    "ReduceLogSumExp": _lowest,
    "ReduceMax": _lowest,
    "ReduceMin": _highest,
    "ReduceProd": _one,
    "ArgMax": _lowest,
    "ArgMin": _highest,
}


def arg_reduction(name: str, node: Node, lower: Lower) -> Results:
    """Padding comes after what is meant, so of equal elements it is not the first."""
    x, extent = first_only(node)
    axis = axis_of(node.integer("axis"), len(x.shape))
    if axis == extent.axis:
        if node.integer("select_last_index", 0):
            raise refused(node)
        return lower(with_operand(node, filled(node.builder, x, _NEUTRAL[name](x.dtype))))
    gone = 0 if node.integer("keepdims") else int(axis < extent.axis)
    return marked(node, lower(node), [Extent(extent.axis - gone, extent.number)])


def top_k_rule(node: Node, lower: Lower) -> Results:
    """No more than there are; the padding comes last."""
    x, extent = first_only(node)
    if axis_of(node.integer("axis"), len(x.shape)) != extent.axis:
        return same_layout(node, lower)
    builder = node.builder
    last = _lowest if node.integer("largest", 1) else _highest
    found = as_sequence(lower(with_operand(node, filled(builder, x, last(x.dtype)))))
    results: list[Result] = []
    for result in found:
        value, number = result if isinstance(result, Bounded) else (result, None)
        assert isinstance(value, Value)
        limit = number.number if number else scalar(builder, value.shape[extent.axis], I64)
        least = binary(builder, "minimum", extent.number, limit)
        results.append(Bounded(value, Extent(extent.axis, least)))
    return results


def along_axis(node: Node, lower: Lower) -> Results:
    """Softmax and the like, along another axis."""
    x, extent = first_only(node)
    axis = axis_of(node.integer("axis"), len(x.shape))
    if axis == extent.axis or (node.version < 13 and axis < extent.axis):
        raise refused(node)
    return same_layout(node, lower)


def normalized(node: Node, lower: Lower) -> Results:
    """From an axis on to the last one."""
    x, extent = first_only(node)
    if axis_of(node.integer("axis"), len(x.shape)) <= extent.axis:
        raise refused(node)
    return marked(node, lower(node), [extent])
