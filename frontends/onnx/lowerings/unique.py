"""Different elements or slices of a tensor; how many there are may be for a run to find out.

Different slices (with `axis`) are found while importing only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.bounded import unique
from tensorkiln.compiler.ops.shorthand import (
    axis_of,
    compare,
    convert,
    full_like,
    reshape,
    select,
    take,
)  # fmt: skip
from tensorkiln.compiler.ops.sort import argsort
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Bounded, Extent
from tensorkiln.frontends.onnx.table import Lowering


def _unique(node: Node) -> Sequence[Array | Value | Bounded]:
    if node.operand(0).known is None and not node.given("axis"):
        return _at_run_time(node)
    x = node.known(0)
    axis = axis_of(node.integer("axis"), x.ndim) if node.given("axis") else None
    # numpy does not order the dtypes that it does not know itself; f32 holds their values.
    keys = x.astype(np.float32) if x.dtype.kind == "V" else x
    _, first, inverse, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if not node.integer("sorted", 1):
        order = np.argsort(first)
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        first, counts, inverse = first[order], counts[order], places[inverse]
    values = x.reshape(-1)[first] if axis is None else np.take(x, first, axis)
    return [values, *(np.asarray(a, np.int64) for a in (first, inverse, counts))]


def _at_run_time(node: Node) -> list[Value | Bounded]:
    builder, x = node.builder, node.value()
    size = x.type.elements
    found = unique(builder, reshape(builder, x, (size,)), size)
    values, first, counts, inverse = found.values, found.first, found.counts, found.inverse
    if not node.integer("sorted", 1) and size:
        # By first occurrence; the padding, whose place is -1, goes behind all of them.
        none = compare(builder, "LT", first, full_like(builder, first, 0))
        keys = select(builder, none, full_like(builder, first, size), first)
        order = convert(builder, argsort(builder, keys), I64)
        values, first, counts = (take(builder, v, order) for v in (values, first, counts))
        inverse = take(builder, convert(builder, argsort(builder, order), I64), inverse)
    extent = Extent(0, found.number)
    padded: list[Value | Bounded]
    padded = [Bounded(values, extent), Bounded(first, extent), inverse, Bounded(counts, extent)]
    return padded[: max(len(node.proto.output), 1)]


LOWERINGS = (Lowering("Unique", _unique, 11),)
