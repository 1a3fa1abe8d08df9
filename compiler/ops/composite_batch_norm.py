"""batch_norm_inference, batch_norm_training and batch_norm_grad, as StableHLO defines them.

y = (x - mean) / sqrt(variance + epsilon) * scale + offset, for each index of dim `feature_index`.
Training takes mean and (biased) variance of the batch and returns them too; batch_norm_grad gives
the gradients of operand, scale and offset from these and the gradient of y.
(Ioffe, Szegedy: Batch Normalization, 2015; the gradient is the one of its section 3.)
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
from tensorkiln.compiler.ops.shorthand import broadcast_in_dim, count, zeros_like
from tensorkiln.runtime.errors import TypeRuleError

_ATTRIBUTES = {"epsilon": "float", "feature_index": "int"}


def _check(types: Types, attributes: Attributes, operands: int) -> TensorType:
    """The type of the features' parameters."""
    check_count(types, operands)
    x, *parameters = types
    check_dtype("C2", x, FLOATS)
    axis = axis_attribute("C3", "feature_index", attributes, x)
    wanted = x.with_shape((x.shape[axis],))
    for parameter in parameters:
        if parameter != wanted:
            raise TypeRuleError(f"C4: a parameter is {parameter}, not {wanted}")
    return wanted


def _inference_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    _check(types, attributes, 5)
    return (types[0],)


def _training_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    features = _check(types, attributes, 3)
    return (types[0], features, features)


def _grad_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 5)
    features = _check(types[:4], attributes, 4)
    if types[4] != types[0]:
        raise TypeRuleError(f"C5: the gradient is {types[4]}, not {types[0]}")
    return (types[0], features, features)


def _axes(op: Op) -> list[int]:
    """The dims that a feature extends over."""
    return [axis for axis in range(op.operands[0].type.rank) if axis != op.integer("feature_index")]


def _spread(op: Op, feature: Formula) -> Formula:
    """One number a feature, repeated to the shape of the operand."""
    shape, axis = op.operands[0].type.shape, op.integer("feature_index")
    value = broadcast_in_dim(feature.builder, feature.value, shape, (axis,))
    return Formula(feature.builder, value)


def _inference(builder: Builder, op: Op) -> Sequence[Value]:
    x, scale, offset, mean, variance = map(widened, formulas(builder, *op.operands))
    factor = scale * (variance + op.number("epsilon")).apply("rsqrt")
    y = (x - _spread(op, mean)) * _spread(op, factor) + _spread(op, offset)
    return [y.convert(op.result.dtype).value]


def _statistics(op: Op, x: Formula) -> tuple[Formula, Formula, Formula]:
    """x - mean, the mean and the variance."""
    mean = x.mean(_axes(op))
    centered = x - _spread(op, mean)
    return centered, mean, (centered * centered).mean(_axes(op))


def _training(builder: Builder, op: Op) -> Sequence[Value]:
    x, scale, offset = map(widened, formulas(builder, *op.operands))
    centered, mean, variance = _statistics(op, x)
    factor = scale * (variance + op.number("epsilon")).apply("rsqrt")
    y = centered * _spread(op, factor) + _spread(op, offset)
    dtype = op.operands[0].dtype
    return [part.convert(dtype).value for part in (y, mean, variance)]


def _training_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    # With c = x - mean, i = 1 / sqrt(variance + epsilon), N elements a feature, and cotangents
    # g, g_mean, g_variance:
    #   d scale = i * sum(g * c)      d offset = sum(g)
    #   dx = scale * i * (g - sum(g) / N - c * i^2 * sum(g * c) / N)
    #        + g_mean / N + c * 2 * g_variance / N
    g_y, g_mean, g_variance = cotangents
    cotangent = zeros_like(builder, op.results[0]) if g_y is None else g_y
    x, scale, g = map(widened, formulas(builder, op.operands[0], op.operands[1], cotangent))
    centered, _, variance = _statistics(op, x)
    more = tuple(
        None if part is None else widened(Formula(builder, part)) for part in (g_mean, g_variance)
    )
    return _gradients(op, (centered, variance), scale, g, more)


def _grad(builder: Builder, op: Op) -> Sequence[Value]:
    x, scale, mean, variance, g = map(widened, formulas(builder, *op.operands))
    return _gradients(op, (x - _spread(op, mean), variance), scale, g, (None, None))


def _gradients(
    op: Op,
    batch: tuple[Formula, Formula],
    scale: Formula,
    g: Formula,
    more: Sequence[Formula | None],
) -> list[Value]:
    """dx, d scale and d offset by the formula above, from c and the variance; `more` are g_mean and
    g_variance."""
    builder, (centered, variance), (g_mean, g_variance) = g.builder, batch, more
    inverse = (variance + op.number("epsilon")).apply("rsqrt")
    total, moment = g.sum(_axes(op)), (g * centered).sum(_axes(op))
    factor = scale * inverse
    slope, constant = -factor * inverse * inverse * moment, -factor * total
    if g_variance is not None:
        slope = slope + g_variance * 2.0
    if g_mean is not None:
        constant = constant + g_mean
    shape = op.operands[0].type.shape
    members = count(builder, tuple(shape[axis] for axis in _axes(op)), g.value.dtype)
    slope, constant = (part / Formula(builder, members) for part in (slope, constant))
    dx = g * _spread(op, factor) + centered * _spread(op, slope) + _spread(op, constant)
    dtype = op.operands[0].dtype
    return [part.convert(dtype).value for part in (dx, moment * inverse, total)]


RECORDS = (
    composite("batch_norm_inference", _ATTRIBUTES, _inference_rule, _inference, flops=3),
    composite(
        "batch_norm_training", _ATTRIBUTES, _training_rule, _training, _training_gradient, flops=8
    ),
    composite("batch_norm_grad", _ATTRIBUTES, _grad_rule, _grad, flops=8),
)
