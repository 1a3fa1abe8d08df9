"""compare, is_finite, select and clamp: bools from numbers, and choices by them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Expr, Index, Select, Unary
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.elementwise import cost, element, evaluation, wide
from tensorkiln.compiler.ops.formula import formulas
from tensorkiln.compiler.ops.record import Element, ElementContext, NoGradient, OpRecord, Types
from tensorkiln.compiler.ops.rules import FLOATS, NUMBERS, check_count, check_dtype, check_equal
from tensorkiln.runtime.errors import TypeRuleError

DIRECTIONS = {
    "EQ": np.equal, "NE": np.not_equal, "LT": np.less,
    "LE": np.less_equal, "GT": np.greater, "GE": np.greater_equal,
}  # fmt: skip


def _compare_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 2)
    check_equal(types)
    if attributes["direction"] not in DIRECTIONS:
        names = ", ".join(DIRECTIONS)
        raise TypeRuleError(f"C3: direction is {attributes['direction']!r}, not one of {names}")
    if types[0].dtype.is_complex and attributes["direction"] not in ("EQ", "NE"):
        raise TypeRuleError(f"C4: {types[0]} has no order; only EQ and NE compare it")
    return (types[0].with_dtype(BOOL),)


def _compare_element(context: ElementContext, op: Op, index: Index) -> Expr:
    return element(partial(Binary, op.string("direction").lower()))(context, op, index)


def _compare_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.asarray(DIRECTIONS[op.string("direction")](*map(wide, arrays)))]


def _is_finite_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 1)
    check_dtype("C2", types[0], FLOATS)
    return (types[0].with_dtype(BOOL),)


def _select_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 3)
    condition, on_true, on_false = types
    check_equal((on_true, on_false))
    if condition.dtype != BOOL:
        raise TypeRuleError(f"C3: the condition is {condition}, not bool")
    if condition.shape not in ((), on_true.shape):
        raise TypeRuleError(f"C4: the condition is {condition}, the branches are {on_true}")
    return (on_true,)


def _select_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    (g,) = cotangents
    if g is None:
        return [None, None, None]
    condition, cotangent = formulas(builder, op.operands[0], g)
    return [None, condition.keep(cotangent).value, condition.drop(cotangent).value]


def _clamp_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 3)
    low, x, high = types
    for bound in (low, high):
        if bound.dtype != x.dtype or bound.shape not in ((), x.shape):
            raise TypeRuleError(f"C2: the bound is {bound}, but what is clamped is {x}")
    check_dtype("C3", x, NUMBERS)
    return (x,)


def _clamp_scalar(low: Expr, x: Expr, high: Expr) -> Expr:
    return Binary("min", Binary("max", x, low), high)


def _clamp(low: Array, x: Array, high: Array) -> Array:
    return np.asarray(np.minimum(np.maximum(x, low), high))


def _clamp_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    # TensorFlow's clip_by_value: a value on a bound gets the gradient itself.
    (g,) = cotangents
    if g is None:
        return [None, None, None]
    low, x, high, cotangent = formulas(builder, *op.operands, g)
    below, above = x.compare("LT", low), x.compare("GT", high)
    to_low, to_high = below.keep(cotangent), above.keep(cotangent)
    return [
        (to_low if low.value.type.rank else to_low.sum()).value,
        above.drop(below.drop(cotangent)).value,
        (to_high if high.value.type.rank else to_high.sum()).value,
    ]


RECORDS = (
    OpRecord(
        "compare", {"direction": "str"}, _compare_rule, _compare_evaluate,
        NoGradient("the result is a bool"), Element(_compare_element), cost(1),
    ),
    OpRecord(
        "is_finite", {}, _is_finite_rule, evaluation(np.isfinite),
        NoGradient("the result is a bool"), Element(element(partial(Unary, "is_finite"))), cost(1),
    ),
    OpRecord(
        "select", {}, _select_rule, evaluation(np.where),
        _select_gradient, Element(element(Select)), cost(1),
    ),
    OpRecord(
        "clamp", {}, _clamp_rule, evaluation(_clamp),
        _clamp_gradient, Element(element(_clamp_scalar)), cost(2),
    ),
)  # fmt: skip
