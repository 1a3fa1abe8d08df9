"""Constants, ranges, and what a tensor's shape says."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL, I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_to,
    compare,
    convert,
    full,
    iota,
    scalar,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import constant
from tensorkiln.frontends.onnx.table import Lowering

MAXIMUM_RANGE = 1 << 40


def _constant(node: Node) -> Array:
    if node.given("value"):
        return node.tensor("value")
    if node.given("value_float"):
        return np.array(node.number("value_float"), np.float32)
    if node.given("value_floats"):
        return np.array(node.numbers("value_floats"), np.float32)
    if node.given("value_int"):
        return np.array(node.integer("value_int"), np.int64)
    if node.given("value_ints"):
        return np.array(node.integers("value_ints"), np.int64)
    for name in ("sparse_value", "value_string", "value_strings"):
        if node.given(name):
            raise node.unsupported(f"{name} is no dense tensor of numbers")
    raise node.invalid("it has no value")


def _constant_of_shape(node: Node) -> Value:
    shape = node.known_ints(0)
    if any(dim < 0 for dim in shape):
        raise node.invalid(f"its shape is {list(shape)}, with a negative dim")
    value = node.tensor("value") if node.given("value") else np.zeros(1, np.float32)
    if value.size != 1:
        raise node.invalid(f"its value has {value.size} elements, not one")
    return broadcast_to(node.builder, constant(node.builder, value.reshape(())), shape)


def _range(node: Node) -> Value:
    """start, start + delta, ...; max(ceil((limit - start) / delta), 0) of them."""
    builder = node.builder
    start, limit, delta = (node.known(k).reshape(()).item() for k in range(3))
    if not delta:
        raise node.invalid("its delta is 0")
    span = (limit - start) / delta
    if not math.isfinite(span) or span > MAXIMUM_RANGE:
        raise node.invalid(f"a range from {start} to {limit} by {delta} is too long")
    dtype = node.operand(0).dtype
    steps = iota(builder, (max(math.ceil(span), 0),), 0, dtype)
    scaled = binary(builder, "multiply", steps, scalar(builder, delta, dtype))
    return binary(builder, "add", scaled, scalar(builder, start, dtype))


def _shape(node: Node) -> Array:
    dims = node.operand(0).shape
    end = node.integer("end", len(dims))
    return np.array(dims[node.integer("start", 0) : end], np.int64)


def _size(node: Node) -> Array:
    return np.array(math.prod(node.operand(0).shape), np.int64)


def _eye_like(node: Node) -> Value:
    builder, x = node.builder, node.operand(0)
    if len(x.shape) != 2:
        raise node.invalid(f"its input has rank {len(x.shape)}, not 2")
    rows, columns = (iota(builder, x.shape, axis, I64) for axis in (0, 1))
    shifted = binary(builder, "add", rows, scalar(builder, node.integer("k"), I64))
    return convert(builder, compare(builder, "EQ", shifted, columns), node.dtype("dtype", x.dtype))


def _trilu(node: Node) -> Value:
    builder, x = node.builder, node.value()
    if x.type.rank < 2:
        raise node.invalid(f"its input has rank {x.type.rank}, not 2 or more")
    k = int(node.known(1).reshape(())) if node.has(1) else 0
    rows, columns = (iota(builder, x.shape[-2:], axis, I64) for axis in (0, 1))
    shifted = binary(builder, "add", rows, scalar(builder, k, I64))
    way = "GE" if node.integer("upper") else "LE"
    kept = broadcast_to(builder, compare(builder, way, columns, shifted), x.shape)
    zero = full(builder, x.shape, False if x.dtype == BOOL else 0, x.dtype)
    return builder.one("select", (kept, x, zero))


LOWERINGS = (
    Lowering("Constant", _constant),
    Lowering("ConstantOfShape", _constant_of_shape, 9),
    Lowering("Range", _range, 11),
    Lowering("Shape", _shape),
    Lowering("Size", _size),
    Lowering("EyeLike", _eye_like, 9),
    Lowering("Trilu", _trilu, 14),
)
