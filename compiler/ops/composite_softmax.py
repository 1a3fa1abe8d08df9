"""softmax and log_softmax along one axis, stable for any finite input.

The greatest element of each row is subtracted first, so no exponential overflows.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.composite import axis_attribute, composite, widened
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.record import Types
from tensorkiln.compiler.ops.rules import FLOATS, check_count, check_dtype


def _rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 1)
    check_dtype("C2", types[0], FLOATS)
    axis_attribute("C3", "axis", attributes, types[0])
    return (types[0],)


def _shifted(builder: Builder, op: Op) -> tuple[Formula, tuple[int]]:
    x = widened(Formula(builder, op.operands[0]))
    axes = (op.integer("axis"),)
    return x - x.reduce("maximum", axes, keep_dims=True), axes


def _softmax(builder: Builder, op: Op) -> Sequence[Value]:
    shifted, axes = _shifted(builder, op)
    powers = shifted.apply("exponential")
    # One division a row: the quotients are within 1.5 ulp of dividing each power.
    result = powers * (1.0 / powers.sum(axes, keep_dims=True))
    return [result.convert(op.result.dtype).value]


def _log_softmax(builder: Builder, op: Op) -> Sequence[Value]:
    shifted, axes = _shifted(builder, op)
    total = shifted.apply("exponential").sum(axes, keep_dims=True)
    return [(shifted - total.apply("log")).convert(op.result.dtype).value]


def _softmax_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    # dx = y * (g - sum(g * y))
    (cotangent,) = cotangents
    if cotangent is None:
        return [None]
    y, g = map(widened, formulas(builder, op.result, cotangent))
    inner = (g * y).sum((op.integer("axis"),), keep_dims=True)
    return [((g - inner) * y).convert(op.result.dtype).value]


def _log_softmax_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    # dx = g - softmax * sum(g)
    (cotangent,) = cotangents
    if cotangent is None:
        return [None]
    y, g = map(widened, formulas(builder, op.result, cotangent))
    total = g.sum((op.integer("axis"),), keep_dims=True)
    return [(g - y.apply("exponential") * total).convert(op.result.dtype).value]


RECORDS = (
    composite("softmax", {"axis": "int"}, _rule, _softmax, _softmax_gradient, flops=27),
    composite("log_softmax", {"axis": "int"}, _rule, _log_softmax, _log_softmax_gradient, flops=20),
)
