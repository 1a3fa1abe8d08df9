"""LabelEncoder (domain ai.onnx.ml): numbers for numbers; texts are numbers by now (host/coding.py)."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    expand_dims,
    full,
    reduce_max,
    scalar,
    select,
    take,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

DOMAIN = "ai.onnx.ml"
_KINDS = ("int64s", "floats", "tensor")
_TYPES = {"int64s": np.int64, "floats": np.float32}


def _encoded(node: Node) -> Value:
    """The value behind the last key that an element equals, NaN equals NaN; else the default."""
    builder, x = node.builder, node.value()
    keys, values = (_table(node, what).reshape(-1) for what in ("keys", "values"))
    if keys.size != values.size:
        raise node.invalid(f"{keys.size} keys for {values.size} values")
    if keys.dtype != x.dtype.numpy:
        raise node.invalid(f"its keys are of {keys.dtype}, its input is of {x.dtype}")
    default = _default(node, values)
    table = builder.constant(np.concatenate([values, default.astype(values.dtype)]))
    if not keys.size:
        return take(builder, table, full(builder, x.shape, 0, I64))
    shape = (*x.shape, keys.size)
    wide = broadcast_in_dim(
        builder, expand_dims(builder, x, (x.type.rank,)), shape, range(len(shape))
    )
    other = broadcast_in_dim(builder, builder.constant(keys), shape, (x.type.rank,))
    equal = compare(builder, "EQ", wide, other)
    if x.dtype.is_float:
        both = (compare(builder, "NE", a, a) for a in (wide, other))
        equal = binary(builder, "or", equal, binary(builder, "and", *both))
    numbers = builder.constant(np.arange(keys.size, dtype=np.int64))
    places = broadcast_in_dim(builder, numbers, shape, (x.type.rank,))
    found = select(builder, equal, places, full(builder, shape, -1, I64))
    last = reduce_max(builder, found, (x.type.rank,))
    none = compare(builder, "LT", last, scalar(builder, 0, I64))
    return take(builder, table, select(builder, none, full(builder, x.shape, keys.size, I64), last))


def _table(node: Node, what: str) -> Array:
    given = [kind for kind in _KINDS if node.given(f"{what}_{kind}")]
    if len(given) != 1:
        raise node.invalid(f"it has {len(given)} attributes of {what}, not one")
    (kind,) = given
    name = f"{what}_{kind}"
    if kind == "tensor":
        return node.tensor(name)
    found = node.integers(name) if kind == "int64s" else node.numbers(name)
    return np.array(found, _TYPES[kind])


def _default(node: Node, values: Array) -> Array:
    if node.given("default_tensor"):
        default = node.tensor("default_tensor")
        if default.size != 1 or default.dtype != values.dtype:
            raise node.invalid(f"default_tensor is not one element of {values.dtype}")
        return default.reshape(1)
    if values.dtype.kind == "f":
        return np.array([node.number("default_float", -0.0)], values.dtype)
    return np.array([node.integer("default_int64", -1)], values.dtype)


LOWERINGS = (Lowering("LabelEncoder", _encoded, 2, DOMAIN),)
