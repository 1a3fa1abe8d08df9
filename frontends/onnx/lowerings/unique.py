"""Different elements or slices of a tensor; their number is part of the result's type, so the
tensor must be known while importing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array
from tensorkiln.compiler.ops.shorthand import axis_of
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _unique(node: Node) -> Sequence[Array]:
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


LOWERINGS = (Lowering("Unique", _unique, 11),)
