"""Activation functions; formulas are those of the ONNX operator documentation."""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import binary, compare, reshape, scalar, select
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _number(builder: Builder, x: Value, value: float) -> Value:
    return scalar(builder, value, x.dtype)


def _scaled(builder: Builder, x: Value, factor: float) -> Value:
    return x if factor == 1 else binary(builder, "multiply", x, _number(builder, x, factor))


def _where_negative(builder: Builder, x: Value, below: Value) -> Value:
    """`below` where x < 0, else x."""
    return select(builder, compare(builder, "LT", x, _number(builder, x, 0)), below, x)


def _relu(node: Node) -> Value:
    x = node.value()
    return binary(node.builder, "maximum", x, _number(node.builder, x, 0))


def _leaky_relu(node: Node) -> Value:
    builder, x = node.builder, node.value()
    return _where_negative(builder, x, _scaled(builder, x, node.number("alpha")))


def _prelu(node: Node) -> Value:
    builder, x = node.builder, node.value()
    return _where_negative(builder, x, binary(builder, "multiply", x, node.value(1)))


def _prelu_channels(node: Node) -> Value:
    """Before opset 7 the slope is one number, or one for each channel."""
    builder, x, slope = node.builder, node.value(), node.value(1)
    if slope.type.elements > 1 and slope.type.rank == 1:
        slope = reshape(builder, slope, (*slope.shape, *(1,) * (x.type.rank - 2)))
    return _where_negative(builder, x, binary(builder, "multiply", x, slope))


def _elu(node: Node) -> Value:
    builder, x = node.builder, node.value()
    below = builder.one("exponential_minus_one", (x,))
    return _where_negative(builder, x, _scaled(builder, below, node.number("alpha")))


def _celu(node: Node) -> Value:
    builder, x, alpha = node.builder, node.value(), node.number("alpha")
    if alpha == 0:
        raise node.invalid("its alpha is 0")
    below = builder.one("exponential_minus_one", (_scaled(builder, x, 1 / alpha),))
    return _where_negative(builder, x, _scaled(builder, below, alpha))


def _selu(node: Node) -> Value:
    builder, x = node.builder, node.value()
    below = builder.one("exponential_minus_one", (x,))
    kinked = _where_negative(builder, x, _scaled(builder, below, node.number("alpha")))
    return _scaled(builder, kinked, node.number("gamma"))


def _hard_sigmoid_of(builder: Builder, x: Value, alpha: float, beta: float) -> Value:
    line = binary(builder, "add", _scaled(builder, x, alpha), _number(builder, x, beta))
    low = binary(builder, "maximum", line, _number(builder, x, 0))
    return binary(builder, "minimum", low, _number(builder, x, 1))


def _hard_sigmoid(node: Node) -> Value:
    return _hard_sigmoid_of(node.builder, node.value(), node.number("alpha"), node.number("beta"))


def _hard_swish(node: Node) -> Value:
    builder, x = node.builder, node.value()
    return binary(builder, "multiply", x, _hard_sigmoid_of(builder, x, 1 / 6, 0.5))


def _swish(node: Node) -> Value:
    builder, x = node.builder, node.value()
    gate = builder.one("logistic", (_scaled(builder, x, node.number("alpha")),))
    return binary(builder, "multiply", x, gate)


def _softplus_of(builder: Builder, x: Value) -> Value:
    """log(1 + exp x) = max(x, 0) + log1p(exp(-|x|)), which does not overflow."""
    size = builder.one("abs", (x,))
    decay = builder.one("exponential", (builder.one("negate", (size,)),))
    positive = binary(builder, "maximum", x, _number(builder, x, 0))
    return binary(builder, "add", positive, builder.one("log_plus_one", (decay,)))


def _softplus(node: Node) -> Value:
    return _softplus_of(node.builder, node.value())


def _softsign(node: Node) -> Value:
    builder, x = node.builder, node.value()
    size = builder.one("abs", (x,))
    return binary(builder, "divide", x, binary(builder, "add", size, _number(builder, x, 1)))


def _mish(node: Node) -> Value:
    builder, x = node.builder, node.value()
    gate = builder.one("tanh", (_softplus_of(builder, x),))
    return binary(builder, "multiply", x, gate)


def _gelu(node: Node) -> Value:
    builder, x = node.builder, node.value()
    kind = node.string("approximate")
    if kind == "none":
        gate = builder.one("erf", (_scaled(builder, x, math.sqrt(0.5)),))
    elif kind == "tanh":
        cube = binary(builder, "multiply", binary(builder, "multiply", x, x), x)
        inner = binary(builder, "add", x, _scaled(builder, cube, 0.044715))
        gate = builder.one("tanh", (_scaled(builder, inner, math.sqrt(2 / math.pi)),))
    else:
        raise node.invalid(f"approximate is {kind!r}, not none or tanh")
    whole = binary(builder, "add", gate, _number(builder, x, 1))
    return binary(builder, "multiply", _scaled(builder, x, 0.5), whole)


def _thresholded_relu(node: Node) -> Value:
    builder, x = node.builder, node.value()
    above = compare(builder, "GT", x, _number(builder, x, node.number("alpha")))
    return select(builder, above, x, _number(builder, x, 0))


def _shrink(node: Node) -> Value:
    """x + bias below -lambd, x - bias above lambd, else 0."""
    builder, x = node.builder, node.value()
    bias, edge = (_number(builder, x, node.number(name)) for name in ("bias", "lambd"))
    low = _number(builder, x, -node.number("lambd"))
    raised, lowered = binary(builder, "add", x, bias), binary(builder, "subtract", x, bias)
    inside = select(builder, compare(builder, "GT", x, edge), lowered, _number(builder, x, 0))
    return select(builder, compare(builder, "LT", x, low), raised, inside)


LOWERINGS = (
    Lowering("Relu", _relu),
    Lowering("LeakyRelu", _leaky_relu),
    Lowering("PRelu", _prelu_channels),
    Lowering("PRelu", _prelu, 7),
    Lowering("Elu", _elu),
    Lowering("Celu", _celu, 12),
    Lowering("Selu", _selu),
    Lowering("HardSigmoid", _hard_sigmoid),
    Lowering("HardSwish", _hard_swish, 14),
    Lowering("Swish", _swish, 24),
    Lowering("Softplus", _softplus),
    Lowering("Softsign", _softsign),
    Lowering("Mish", _mish, 18),
    Lowering("Gelu", _gelu, 20),
    Lowering("ThresholdedRelu", _thresholded_relu),
    Lowering("Shrink", _shrink, 9),
)
