"""What each operator does with an operand whose size only a run knows (see extents.py).

A rule takes the node and its lowering, and gives the results with their extents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    axes_of,
    axis_of,
    binary,
    concat,
    dynamic_update_slice,
    reshape,
    scalar,
)
from tensorkiln.frontends.onnx.extent_reductions import (
    along_axis,
    arg_reduction,
    normalized,
    reduction,
    top_k_rule,
    zero_of,
)
from tensorkiln.frontends.onnx.extents import (
    dropped,
    filled,
    first_only,
    marked,
    refuse,
    refused,
    same_layout,
    times,
    with_operand,
)
from tensorkiln.frontends.onnx.lowerings import activations, elementwise, reductions, trigonometry
from tensorkiln.frontends.onnx.lowerings.movement import axes_attribute, axes_input
from tensorkiln.frontends.onnx.node import Lower, Node
from tensorkiln.frontends.onnx.operand import Bounded, Extent, Operand, Result, Results

Rule: TypeAlias = Callable[[Node, Lower], Results]


def lower_bounded(node: Node, lower: Lower) -> Results:
    """The results of a node that has an operand of open size; ConstantNeeded if it has no rule."""
    rule = RULES.get(node.proto.op_type, refuse) if not node.proto.domain else refuse
    return rule(node, lower)


def _values(node: Node) -> list[Operand]:
    return node.tensors


def _aligned(node: Node, lower: Lower) -> Results:
    """Elementwise: axes are aligned at the right, and all that are not 1 there are the same."""
    rank = max(len(o.shape) for o in _values(node))
    extents = {o.extent.axis + rank - len(o.shape): o.extent for o in _values(node) if o.extent}
    if len(extents) > 1:
        raise refused(node)
    ((axis, extent),) = extents.items()
    for operand in _values(node):
        own = axis - rank + len(operand.shape)
        if own < 0 or (operand.shape[own] == 1 and not operand.extent):
            continue
        if operand.extent is None or operand.extent.number is not extent.number:
            raise refused(node)
    return marked(node, lower(node), [Extent(axis, extent.number)])


def _transpose(node: Node, lower: Lower) -> Results:
    x, extent = first_only(node)
    order = node.integers("perm", tuple(range(len(x.shape)))[::-1])
    result = lower(node)
    return marked(node, result, [Extent(order.index(extent.axis), extent.number)])


def _squeeze(node: Node, lower: Lower) -> Results:
    x, extent = first_only(node)
    given = axes_attribute(node) if node.version < 13 else axes_input(node, 1)
    if given is None:
        raise refused(node)
    axes = axes_of(given, len(x.shape))
    if extent.axis in axes:
        raise refused(node)
    axis = extent.axis - sum(a < extent.axis for a in axes)
    return marked(node, lower(node), [Extent(axis, extent.number)])


def _unsqueeze(node: Node, lower: Lower) -> Results:
    x, extent = first_only(node)
    given = axes_attribute(node) if node.version < 13 else axes_input(node, 1)
    axes = axes_of(given or (), len(x.shape) + len(given or ()))
    left = [k for k in range(len(x.shape) + len(axes)) if k not in axes]
    return marked(node, lower(node), [Extent(left[extent.axis], extent.number)])


def _reshape(node: Node, lower: Lower) -> Results:
    """A dim that is not stated takes up the axis, and whole dims after it."""
    x, extent = first_only(node)
    wanted = node.known_ints(1)
    copied = 0 in wanted and not node.integer("allowzero", 0)
    if -1 in wanted:
        axis = wanted.index(-1)
    elif copied and extent.axis < len(wanted) and wanted[extent.axis] == 0:
        axis = extent.axis
    else:
        raise refused(node)
    shape = [x.shape[k] if n == 0 and copied else n for k, n in enumerate(wanted)]
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    others = before * after
    inner = math.prod(x.shape[extent.axis + 1 :])
    if not others or inner % after or before != math.prod(x.shape[: extent.axis]):
        raise refused(node)
    number = times(node.builder, extent.number, inner // after)
    return marked(node, lower(node), [Extent(axis, number)])


def _flatten(node: Node, lower: Lower) -> Results:
    x, extent = first_only(node)
    at = node.integer("axis") % max(len(x.shape), 1)
    first, last = (0, at) if extent.axis < at else (at, len(x.shape))
    if math.prod(x.shape[first : extent.axis]) != 1:
        raise refused(node)
    inner = math.prod(x.shape[extent.axis + 1 : last])
    found = Extent(int(extent.axis >= at), times(node.builder, extent.number, inner))
    return marked(node, lower(node), [found])


def _gather(node: Node, lower: Lower) -> Results:
    x, indices = node.operand(0), node.operand(1)
    axis, many = axis_of(node.integer("axis"), len(x.shape)), len(indices.shape)
    if x.extent and indices.extent:
        raise refused(node)
    if indices.extent:
        found = Extent(axis + indices.extent.axis, indices.extent.number)
    elif x.extent is None or x.extent.axis == axis:
        raise refused(node)  # an index may count from the end
    else:
        place = x.extent.axis
        found = Extent(place if place < axis else place + many - 1, x.extent.number)
    return marked(node, lower(node), [found])


def _gather_nd(node: Node, lower: Lower) -> Results:
    indices = node.operand(1)
    extent = indices.extent
    if extent is None or node.operand(0).extent or extent.axis == len(indices.shape) - 1:
        raise refused(node)
    if extent.axis < node.integer("batch_dims", 0):
        raise refused(node)
    return marked(node, lower(node), [extent])


def _slice(node: Node, lower: Lower) -> Results:
    x, extent = first_only(node)
    if node.version < 10:
        starts, ends, axes = node.integers("starts"), node.integers("ends"), axes_attribute(node)
        steps: Sequence[int] | None = None
    else:
        starts, ends = node.known_ints(1), node.known_ints(2)
        axes, steps = axes_input(node, 3), axes_input(node, 4)
    places = [axis_of(a, len(x.shape)) for a in (range(len(starts)) if axes is None else axes)]
    if extent.axis not in places:
        return marked(node, lower(node), [extent])
    k = places.index(extent.axis)
    start, end = starts[k], ends[k]
    if start < 0 or end < 0 or (steps is not None and steps[k] != 1):
        raise refused(node)  # counted from the end, which is not where the padding ends
    number = binary(node.builder, "minimum", extent.number, scalar(node.builder, end, I64))
    return marked(node, lower(node), [Extent(extent.axis, dropped(node.builder, number, start))])


def _split(node: Node, lower: Lower) -> Results:
    x, extent = first_only(node)
    if axis_of(node.integer("axis"), len(x.shape)) == extent.axis:
        raise refused(node)
    return same_layout(node, lower)


def _concat(node: Node, lower: Lower) -> Results:
    builder, operands = node.builder, _values(node)
    axis = axis_of(node.integer("axis"), len(operands[0].shape))
    if all(o.extent is None or o.extent.axis == axis for o in operands):
        return _joined(builder, operands, axis)
    extent = operands[0].extent
    if extent is None or any(
        o.extent is None or (o.extent.axis, o.extent.number) != (extent.axis, extent.number)
        for o in operands
    ):
        raise refused(node)
    return marked(node, lower(node), [extent])


def _joined(builder: Builder, operands: Sequence[Operand], axis: int) -> list[Result]:
    """Each part is written over the padding of the one before."""
    values = [o.value(builder) for o in operands]
    zero, number = scalar(builder, 0, I64), scalar(builder, 0, I64)
    whole = concat(builder, values, axis)
    for k, (operand, value) in enumerate(zip(operands, values, strict=True)):
        if k:
            starts = [number if dim == axis else zero for dim in range(len(operand.shape))]
            whole = dynamic_update_slice(builder, whole, value, starts)
        own = operand.extent.number if operand.extent else None
        own = scalar(builder, operand.shape[axis], I64) if own is None else own
        number = binary(builder, "add", number, own)
    return [Bounded(whole, Extent(axis, number))]


def _shape(node: Node, lower: Lower) -> Results:
    del lower
    x, extent = first_only(node)
    rank, builder = len(x.shape), node.builder
    axes = range(rank)[node.integer("start", 0) : node.integer("end", rank)]
    if not axes:
        return np.zeros(0, np.int64)
    parts = [
        extent.number if axis == extent.axis else scalar(builder, x.shape[axis], I64)
        for axis in axes
    ]
    return concat(builder, [reshape(builder, part, (1,)) for part in parts], 0)


def _size(node: Node, lower: Lower) -> Results:
    del lower
    x, extent = first_only(node)
    others = math.prod(n for k, n in enumerate(x.shape) if k != extent.axis)
    return times(node.builder, extent.number, others)


def _matmul(node: Node, lower: Lower) -> Results:
    x, extent = first_only(node)
    if extent.axis != len(x.shape) - 2 or len(node.operand(1).shape) < 2:
        raise refused(node)
    rank = max(len(x.shape), len(node.operand(1).shape))
    return marked(node, lower(node), [Extent(rank - 2, extent.number)])


def _gemm(node: Node, lower: Lower) -> Results:
    _, extent = first_only(node)
    if extent.axis != int(bool(node.integer("transA"))):
        raise refused(node)
    return marked(node, lower(node), [Extent(0, extent.number)])


def _by_rows(node: Node, lower: Lower) -> Results:
    """Row k of the result is made of row k of operand 0."""
    _, extent = first_only(node)
    if extent.axis:
        raise refused(node)
    return marked(node, lower(node), [extent])


def _regions(node: Node, lower: Lower) -> Results:
    """RoiAlign of as many regions as there are image numbers."""
    rois, images = node.operand(1), node.operand(2)
    extent = rois.extent
    if extent is None or images.extent is None or node.operand(0).extent:
        raise refused(node)
    if extent.axis or images.extent.number is not extent.number:
        raise refused(node)
    return marked(node, lower(node), [extent])


def _fill_with_zeros(index: int, node: Node, lower: Lower) -> Results:
    """What looks for elements that are not zero finds none in the padding."""
    operand = node.operand(index)
    if operand.extent is None or any(o.extent for o in node.tensors if o is not operand):
        raise refused(node)
    return lower(with_operand(node, filled(node.builder, operand, zero_of(operand.dtype)), index))


def _handed_on(node: Node, lower: Lower) -> Results:
    """What puts tensors into sequences and takes them out reads none."""
    return lower(node)


_HANDED_ON = (
    "Identity", "SequenceConstruct", "SequenceInsert", "SequenceAt", "SequenceErase",
    "SequenceLength", "Optional", "OptionalGetElement", "OptionalHasElement",
)  # fmt: skip
_ELEMENTWISE = {
    entry.name
    for family in (elementwise, activations, trigonometry)
    for entry in family.LOWERINGS
} | {"Cast"}  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _aligned),
    **{name: partial(reduction, name) for name in reductions.FOLDS},
    **{name: partial(arg_reduction, name) for name in ("ArgMax", "ArgMin")},
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), along_axis),
    "LayerNormalization": normalized,
    **dict.fromkeys(
        ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
         "BatchNormalization"),
        _by_rows,
    ),
    "Dropout": same_layout,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Slice": _slice,
    "Split": _split,
    "Concat": _concat,
    "Shape": _shape,
    "Size": _size,
    "MatMul": _matmul,
    "TopK": top_k_rule,
    "RoiAlign": _regions,
    "Gemm": _gemm,
    **dict.fromkeys(_HANDED_ON, _handed_on),
    "NonZero": partial(_fill_with_zeros, 0),
    "Compress": partial(_fill_with_zeros, 1),
}  # fmt: skip

__all__ = ["RULES", "lower_bounded"]
