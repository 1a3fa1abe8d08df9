"""Inverse and hyperbolic functions, written so that small arguments keep their accuracy."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.shorthand import compare, full_like, select
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _one_minus_square_root(builder: Builder, x: Value) -> Value:
    """sqrt((1 - x)(1 + x)), which keeps its accuracy near x = 1 where 1 - x*x does not."""
    one = full_like(builder, x, 1)
    below, above = builder.one("subtract", (one, x)), builder.one("add", (one, x))
    return builder.one("sqrt", (builder.one("multiply", (below, above)),))


def _asin(node: Node) -> Value:
    builder, x = node.builder, node.value()
    return builder.one("atan2", (x, _one_minus_square_root(builder, x)))


def _acos(node: Node) -> Value:
    builder, x = node.builder, node.value()
    return builder.one("atan2", (_one_minus_square_root(builder, x), x))


def _atan(node: Node) -> Value:
    builder, x = node.builder, node.value()
    return builder.one("atan2", (x, full_like(builder, x, 1)))


def _sinh(node: Node) -> Value:
    """With u = expm1(|x|): sinh |x| = (u + u / (u + 1)) / 2; exp(|x| - log 2) where u overflows."""
    builder, x = node.builder, node.value()
    size = builder.one("abs", (x,))
    u = builder.one("exponential_minus_one", (size,))
    one = full_like(builder, x, 1)
    near = builder.one("add", (u, builder.one("divide", (u, builder.one("add", (u, one))))))
    near = builder.one("multiply", (near, full_like(builder, x, 0.5)))
    far = _half_exponential(builder, size)
    large = compare(builder, "GT", size, full_like(builder, x, 10))
    both = select(builder, large, far, near)
    return builder.one("multiply", (builder.one("sign", (x,)), both))


def _cosh(node: Node) -> Value:
    """exp(|x|) / 2 + exp(-|x|) / 2, halves taken in the exponent so that neither overflows."""
    builder, x = node.builder, node.value()
    size = builder.one("abs", (x,))
    return builder.one(
        "add",
        (
            _half_exponential(builder, size),
            _half_exponential(builder, builder.one("negate", (size,))),
        ),
    )


def _half_exponential(builder: Builder, x: Value) -> Value:
    log_two = full_like(builder, x, 0.6931471805599453)
    return builder.one("exponential", (builder.one("subtract", (x, log_two)),))


def _asinh(node: Node) -> Value:
    """sign(x) log1p(a + a*a / (1 + sqrt(a*a + 1))), a = |x|."""
    builder, x = node.builder, node.value()
    one = full_like(builder, x, 1)
    size = builder.one("abs", (x,))
    square = builder.one("multiply", (size, size))
    root = builder.one("sqrt", (builder.one("add", (square, one)),))
    rest = builder.one("divide", (square, builder.one("add", (one, root))))
    inner = builder.one("log_plus_one", (builder.one("add", (size, rest)),))
    return builder.one("multiply", (builder.one("sign", (x,)), inner))


def _acosh(node: Node) -> Value:
    """log1p(t + sqrt(2 t + t*t)), t = x - 1."""
    builder, x = node.builder, node.value()
    t = builder.one("subtract", (x, full_like(builder, x, 1)))
    inner = builder.one("add", (builder.one("add", (t, t)), builder.one("multiply", (t, t))))
    total = builder.one("add", (t, builder.one("sqrt", (inner,))))
    return builder.one("log_plus_one", (total,))


def _atanh(node: Node) -> Value:
    """(log1p(x) - log1p(-x)) / 2."""
    builder, x = node.builder, node.value()
    above = builder.one("log_plus_one", (x,))
    below = builder.one("log_plus_one", (builder.one("negate", (x,)),))
    difference = builder.one("subtract", (above, below))
    return builder.one("multiply", (difference, full_like(builder, x, 0.5)))


LOWERINGS = (
    Lowering("Asin", _asin, 7),
    Lowering("Acos", _acos, 7),
    Lowering("Atan", _atan, 7),
    Lowering("Sinh", _sinh, 9),
    Lowering("Cosh", _cosh, 9),
    Lowering("Asinh", _asinh, 9),
    Lowering("Acosh", _acosh, 9),
    Lowering("Atanh", _atanh, 9),
)
