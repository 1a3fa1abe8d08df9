"""Changing the element type."""

from __future__ import annotations

import ml_dtypes

from tensorkiln.compiler.ir.dtypes import BOOL, F32, I32, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.reducers import extreme
from tensorkiln.compiler.ops.shorthand import binary, compare, convert, scalar
from tensorkiln.frontends.onnx.elements import DTYPE_OF_ELEMENT
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Result
from tensorkiln.frontends.onnx.table import Lowering


def _to(node: Node, dtype: DType) -> Result:
    operand = node.operand(0)
    if operand.dtype == dtype:
        return operand
    builder, x = node.builder, node.value()
    if x.dtype.is_storage:  # exact, and what follows computes with it
        x = convert(builder, x, F32 if x.dtype.is_float else I32)
    if dtype.is_storage and dtype.is_integer and x.dtype.is_float:
        x = convert(builder, x, I32)  # which then wraps
    if dtype == BOOL:
        return compare(builder, "NE", x, scalar(builder, 0, x.dtype))
    if dtype.is_storage and dtype.is_float and node.integer("saturate", 1):
        x = bounded(builder, x, dtype)
    return convert(builder, x, dtype)


def bounded(builder: Builder, x: Value, dtype: DType) -> Value:
    """Numbers too large for a float `dtype` made its largest; NaN stays."""
    largest = float(ml_dtypes.finfo(dtype.numpy).max)  # type: ignore[no-untyped-call]
    if x.dtype == BOOL:
        return x
    if x.dtype.is_integer and largest >= extreme(x.dtype, lowest=False):
        return x
    limit = largest if x.dtype.is_float else int(largest)
    x = binary(builder, "minimum", x, scalar(builder, limit, x.dtype))
    return (
        binary(builder, "maximum", x, scalar(builder, -limit, x.dtype)) if x.dtype.is_signed else x
    )


def _cast(node: Node) -> Result:
    return _to(node, node.dtype("to"))


def _cast_by_name(node: Node) -> Result:
    """Before opset 6 the element type is given by its name."""
    name = node.string("to")
    for dtype in DTYPE_OF_ELEMENT.values():
        if dtype.numpy.name == {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower()):
            return _to(node, dtype)
    raise node.unsupported(f"casting to {name!r}")


def _cast_like(node: Node) -> Result:
    return _to(node, node.operand(1).dtype)


def _bit_cast(node: Node) -> Result:
    if BOOL in (node.operand(0).dtype, node.dtype("to")):  # a bool is a byte that is 0 or 1
        return _to(node, node.dtype("to"))
    return node.builder.one("bitcast_convert", (node.value(),), dtype=node.dtype("to"))


LOWERINGS = (
    Lowering("Cast", _cast_by_name),
    Lowering("Cast", _cast, 6),
    Lowering("CastLike", _cast_like, 15),
    Lowering("BitCast", _bit_cast, 26),
)
