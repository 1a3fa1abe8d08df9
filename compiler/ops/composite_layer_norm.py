"""layer_norm: each row brought to mean 0 and variance 1, then scaled and shifted.

y = (x - mean) / sqrt(variance + epsilon) * scale + bias, with mean and variance over the dims from
`axis` to the last; scale and bias have these dims (Ba, Kiros, Hinton: Layer Normalization, 2016).
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
from tensorkiln.runtime.errors import TypeRuleError


def _rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 3)
    x, *parameters = types
    check_dtype("C2", x, FLOATS)
    axis = axis_attribute("C3", "axis", attributes, x)
    for parameter in parameters:
        if parameter != x.with_shape(x.shape[axis:]):
            raise TypeRuleError(
                f"C4: scale or bias is {parameter}, not {x.with_shape(x.shape[axis:])}"
            )
    return (x,)


def _normalized(x: Formula, axes: Sequence[int], epsilon: float) -> tuple[Formula, Formula]:
    """(x - mean) / deviation and 1 / deviation, over `axes`."""
    centered = x - x.mean(axes, keep_dims=True)
    variance = (centered * centered).mean(axes, keep_dims=True)
    inverse = (variance + epsilon).apply("rsqrt")
    return centered * inverse, inverse


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    x, scale, bias = map(widened, formulas(builder, *op.operands))
    axes = range(op.integer("axis"), op.result.type.rank)
    normal, _ = _normalized(x, axes, op.number("epsilon"))
    return [(normal * scale + bias).convert(op.result.dtype).value]


def _gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    # With n the normalized x and h = g * scale: dx = (h - mean(h) - n * mean(h * n)) / deviation
    (cotangent,) = cotangents
    if cotangent is None:
        return [None, None, None]
    dtype = op.result.dtype
    x, scale, g = map(widened, formulas(builder, op.operands[0], op.operands[1], cotangent))
    outer = range(op.integer("axis"))
    axes = range(op.integer("axis"), op.result.type.rank)
    normal, inverse = _normalized(x, axes, op.number("epsilon"))
    h = g * scale
    centered = h - h.mean(axes, keep_dims=True)
    dx = (centered - normal * (h * normal).mean(axes, keep_dims=True)) * inverse
    parts = (dx, (g * normal).sum(outer), g.sum(outer))
    return [part.convert(dtype).value for part in parts]


RECORDS = (
    composite("layer_norm", {"axis": "int", "epsilon": "float"}, _rule, _body, _gradient, flops=9),
)
