"""Factors a channel multiplied into the constant weights of the op that makes the channels."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.function import Array, Op, Value
from tensorkiln.compiler.ops.dot import sides
from tensorkiln.compiler.passes.rewriting import Rewriter, static


def constant_array(rewriter: Rewriter, value: Value) -> Array | None:
    """The value as an array if it is a constant or a broadcast scalar constant."""
    array = rewriter.literal(value)
    if array is not None:
        return array
    scalar = rewriter.splat(value) if static(value) else None
    return None if scalar is None else np.broadcast_to(scalar, value.shape)


def per_channel(rewriter: Rewriter, value: Value, axis: int) -> Array | None:
    """One number for each index of dim `axis`, if `value` is a constant that varies along no
    other dim."""
    if not static(value):
        return None
    op = rewriter.producer(value, "broadcast_in_dim")
    if op is None:
        return None
    array = rewriter.literal(op.operands[0])
    if array is None:
        return None
    varying = [
        place
        for place, size in zip(op.ints("dimensions"), op.operands[0].shape, strict=True)
        if size != 1
    ]
    if varying not in ([], [axis]):
        return None
    return np.broadcast_to(array.reshape(-1), (value.shape[axis],))


def scaled(rewriter: Rewriter, value: Value, axis: int, factor: Array) -> Value | None:
    """`value` with dim `axis` multiplied by `factor`, if it is a product or convolution nobody
    else reads whose constant weights alone make that dim; computed in f64 and rounded once."""
    op = rewriter.producer(value)
    if op is None or not rewriter.has_one_use(value):
        return None
    found = _weights(op, axis)
    if found is None:
        return None
    side, dim = found
    weights = constant_array(rewriter, op.operands[side])
    if weights is None:
        return None
    shape = [-1 if k == dim else 1 for k in range(weights.ndim)]
    wide = weights.astype(np.float64) * factor.astype(np.float64).reshape(shape)
    operands = [*op.operands]
    operands[side] = rewriter.keep(wide.astype(weights.dtype))
    return rewriter.append(op, operands)[0]


def _weights(op: Op, axis: int) -> tuple[int, int] | None:
    """The operand, and its dim, that alone makes dim `axis` of the result."""
    if op.name == "convolution":
        return (1, op.ints("rhs_spec")[0]) if axis == op.ints("out_spec")[1] else None
    if op.name != "dot_general":
        return None
    left, right = sides(op.attributes, (op.operands[0].type.rank, op.operands[1].type.rank))
    free = [*((0, k) for k in left.free), *((1, k) for k in right.free)]
    place = axis - len(left.batch)
    return free[place] if place >= 0 else None
