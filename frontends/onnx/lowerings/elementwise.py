"""Arithmetic, math functions and comparisons, with their broadcasting through the opsets."""

from __future__ import annotations

from functools import partial

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    compare,
    convert,
    full_like,
    reshape,
    scalar,
    select,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def unary(op: str, node: Node) -> Value:
    """The tensor op `op` of the only operand."""
    return node.builder.one(op, (node.value(),))


def _broadcast(op: str, node: Node) -> Value:
    """numpy's broadcasting (opset 7 and later)."""
    return binary(node.builder, op, node.value(0), node.value(1))


def _legacy_pair(node: Node) -> tuple[Value, Value]:
    """Operands before opset 7: the second is aligned at `axis` of the first if `broadcast` is 1."""
    a, b = node.value(0), node.value(1)
    if not node.integer("broadcast", 0):
        if a.shape != b.shape:
            raise node.invalid(f"shapes {list(a.shape)} and {list(b.shape)} differ, broadcast is 0")
        return a, b
    if node.given("axis"):
        axis = node.integer("axis") % max(a.type.rank, 1)
        trailing = a.type.rank - axis - b.type.rank
        if trailing < 0:
            raise node.invalid(f"shape {list(b.shape)} does not fit into {list(a.shape)} at {axis}")
        b = reshape(node.builder, b, (*b.shape, *(1,) * trailing))
    return a, b


def _legacy_broadcast(op: str, node: Node) -> Value:
    return binary(node.builder, op, *_legacy_pair(node))


def _compare(direction: str, node: Node) -> Value:
    return compare(node.builder, direction, node.value(0), node.value(1))


def _legacy_compare(direction: str, node: Node) -> Value:
    return compare(node.builder, direction, *_legacy_pair(node))


def _variadic(op: str, node: Node) -> Value:
    result, *rest = node.values()
    for value in rest:
        result = binary(node.builder, op, result, value)
    return result


def _extreme(float_op: str, bool_op: str, node: Node) -> Value:
    return _variadic(bool_op if node.operand(0).dtype == BOOL else float_op, node)


def _mean(node: Node) -> Value:
    total = _variadic("add", node)
    count = scalar(node.builder, len(node.operands), total.dtype)
    return binary(node.builder, "divide", total, count)


def _power(builder: Builder, a: Value, b: Value) -> Value:
    """`a ** b` in the dtype of `a`, computed in a float dtype where one of them is float."""
    if a.dtype.is_integer and b.dtype.is_float:
        return convert(builder, binary(builder, "power", convert(builder, a, b.dtype), b), a.dtype)
    return binary(builder, "power", a, convert(builder, b, a.dtype))


def _pow(node: Node) -> Value:
    return _power(node.builder, node.value(0), node.value(1))


def _legacy_pow(node: Node) -> Value:
    return _power(node.builder, *_legacy_pair(node))


def _mod(node: Node) -> Value:
    """Sign of the dividend with fmod = 1, else sign of the divisor."""
    builder = node.builder
    a, b = node.value(0), node.value(1)
    rest = binary(builder, "remainder", a, b)
    if node.integer("fmod") or not a.dtype.is_signed:
        return rest
    zero = scalar(builder, 0, rest.dtype)
    differs = binary(
        builder, "xor", compare(builder, "LT", rest, zero), compare(builder, "LT", b, zero)
    )
    fix = binary(builder, "and", differs, compare(builder, "NE", rest, zero))
    return select(builder, fix, binary(builder, "add", rest, b), rest)


def _shift(node: Node) -> Value:
    direction = node.string("direction")
    if direction not in ("LEFT", "RIGHT"):
        raise node.invalid(f"direction is {direction!r}, not LEFT or RIGHT")
    right = "arithmetic" if node.operand(0).dtype.is_signed else "logical"
    return _broadcast("shift_left" if direction == "LEFT" else f"shift_right_{right}", node)


def _where(node: Node) -> Value:
    return select(node.builder, node.value(0), node.value(1), node.value(2))


def _reciprocal(node: Node) -> Value:
    x = node.value()
    return node.builder.one("divide", (full_like(node.builder, x, 1), x))


def _is_nan(node: Node) -> Value:
    return compare(node.builder, "NE", node.value(), node.value())


def _is_inf(node: Node) -> Value:
    builder, x = node.builder, node.value()
    signs = {"detect_negative": float("-inf"), "detect_positive": float("inf")}
    found = [
        compare(builder, "EQ", x, scalar(builder, limit, x.dtype))
        for name, limit in signs.items()
        if node.integer(name)
    ]
    if not found:
        return full_like(builder, compare(builder, "EQ", x, x), False)
    return found[0] if len(found) == 1 else binary(builder, "or", found[0], found[1])


def _clip(builder: Builder, x: Value, low: Value | None, high: Value | None) -> Value:
    if low is not None:
        x = binary(builder, "maximum", x, low)
    return x if high is None else binary(builder, "minimum", x, high)


def _clip_attributes(node: Node) -> Value:
    builder, x = node.builder, node.value()
    low, high = (
        scalar(builder, node.number(name), x.dtype) if node.given(name) else None
        for name in ("min", "max")
    )
    return _clip(builder, x, low, high)


def _clip_inputs(node: Node) -> Value:
    low, high = (node.value(k) if node.has(k) else None for k in (1, 2))
    return _clip(node.builder, node.value(), low, high)


_UNARY = {
    "Abs": "abs", "Neg": "negate", "Exp": "exponential", "Log": "log", "Sqrt": "sqrt",
    "Floor": "floor", "Ceil": "ceil", "Round": "round_nearest_even", "Sign": "sign",
    "Sin": "sine", "Cos": "cosine", "Tan": "tan", "Tanh": "tanh", "Erf": "erf", "Sigmoid": "logistic",
    "Not": "not", "BitwiseNot": "not",
}  # fmt: skip
_BINARY = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}
_LOGICAL = {"And": "and", "Or": "or", "Xor": "xor"}
_COMPARE = {"Equal": "EQ", "Greater": "GT", "Less": "LT"}

LOWERINGS = (
    *(Lowering(name, partial(unary, op)) for name, op in _UNARY.items()),
    *(Lowering(name, partial(_legacy_broadcast, op)) for name, op in (_BINARY | _LOGICAL).items()),
    *(Lowering(name, partial(_broadcast, op), 7) for name, op in (_BINARY | _LOGICAL).items()),
    *(Lowering(f"Bitwise{name}", partial(_broadcast, op), 18) for name, op in _LOGICAL.items()),
    *(Lowering(name, partial(_legacy_compare, way)) for name, way in _COMPARE.items()),
    *(Lowering(name, partial(_compare, way), 7) for name, way in _COMPARE.items()),
    Lowering("GreaterOrEqual", partial(_compare, "GE"), 12),
    Lowering("LessOrEqual", partial(_compare, "LE"), 12),
    Lowering("Sum", partial(_variadic, "add")),
    Lowering("Max", partial(_extreme, "maximum", "or")),
    Lowering("Min", partial(_extreme, "minimum", "and")),
    Lowering("Mean", _mean),
    Lowering("Pow", _legacy_pow),
    Lowering("Pow", _pow, 7),
    Lowering("Mod", _mod, 10),
    Lowering("BitShift", _shift, 11),
    Lowering("Where", _where, 9),
    Lowering("Reciprocal", _reciprocal),
    Lowering("IsNaN", _is_nan, 9),
    Lowering("IsInf", _is_inf, 10),
    Lowering("Clip", _clip_attributes),
    Lowering("Clip", _clip_inputs, 11),
)
