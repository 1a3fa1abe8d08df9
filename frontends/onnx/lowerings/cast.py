"""Changing the element type."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import BOOL, DType
from tensorkiln.compiler.ops.shorthand import compare, convert, scalar
from tensorkiln.frontends.onnx.elements import DTYPE_OF_ELEMENT
from tensorkiln.frontends.onnx.node import Node, Result
from tensorkiln.frontends.onnx.table import Lowering


def _to(node: Node, dtype: DType) -> Result:
    operand = node.operand(0)
    if operand.dtype == dtype:
        return operand
    builder, x = node.builder, node.value()
    if dtype == BOOL:
        return compare(builder, "NE", x, scalar(builder, 0, x.dtype))
    return convert(builder, x, dtype)


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
