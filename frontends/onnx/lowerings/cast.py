"""Changing the element type."""

from __future__ import annotations

import ml_dtypes

from tensorkiln.compiler.ir.dtypes import BOOL, F8E8M0FNU, F32, I32, U8, U32, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.formula import Formula
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
    if dtype == F8E8M0FNU:
        return _scale(node, convert(builder, x, F32))
    if dtype == BOOL:
        return compare(builder, "NE", x, scalar(builder, 0, x.dtype))
    if dtype.is_storage and dtype.is_float and node.integer("saturate", 1):
        x = bounded(builder, x, dtype)
    return convert(builder, x, dtype)


def _scale(node: Node, x: Value) -> Value:
    """The power of two of an f32: its exponent, one more where `round_mode` says so of its fraction.

    The sign is dropped, and 2^-127 stands for 0, as in onnx.numpy_helper.to_float8e8m0.
    """
    builder, mode = node.builder, node.string("round_mode", "up")
    bits = Formula(builder, builder.one("bitcast_convert", (x,), dtype=U32))
    exponent = bits.join("shift_right_logical", 23.0).join("and", 255.0)
    fraction = bits.join("and", float((1 << 23) - 1))
    match mode:
        case "up":
            more = fraction.compare("GT", 0.0)
        case "down":
            more = fraction.compare("LT", 0.0)
        case "nearest":  # halves round up, but between 0 and the least number down
            normal, half = exponent.compare("GT", 0.0), float(1 << 22)
            least = normal.select(fraction.full(half), half + 1)
            more = fraction.compare("GE", least)
        case _:
            raise node.unsupported(f"round_mode is {mode!r}, not up, down or nearest")
    if node.integer("saturate", 1):
        more = Formula(
            builder, builder.one("and", (more.value, exponent.compare("LT", 254.0).value))
        )
    raised = more.select(exponent + 1.0, exponent)
    code = exponent.compare("EQ", 255.0).select(exponent, raised).convert(U8)
    return builder.one("bitcast_convert", (code.value,), dtype=F8E8M0FNU)


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
