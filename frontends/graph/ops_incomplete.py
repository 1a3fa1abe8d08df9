"""The incomplete gamma and beta functions, and running logarithms of sums of exponentials."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.functions import binary_function
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import axis_in, base, binary, broadcasted, like_input
from tensorkiln.frontends.graph.shapes import broadcast
from tensorkiln.frontends.graph.tensor import Tensor


def betainc(a: object, b: object, x: object, name: str | None = None) -> Tensor:
    """The share of the beta function B(a, b) that the integral from 0 to x has."""
    return make("Betainc", (a, b, x), name)


def _betainc_infer(op: Operation) -> Sequence[Result]:
    a, b, x = op.inputs
    return [(base(a), broadcast(broadcast(a.sizes, b.sizes), x.sizes))]


def _betainc(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    return [builder.one("betainc", shorthand.broadcast_together(builder, *values))]


def cumulative_logsumexp(
    x: object, axis: object = 0, exclusive: bool = False, reverse: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """log of the running sums of exp(x) along `axis`.

    `exclusive` leaves each element itself out; the sum of none gives -inf.
    """
    return make("CumulativeLogsumexp", (x, axis), name, exclusive=exclusive, reverse=reverse)


def _cumulative(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x, _) = lowering.builder, values
    axis = axis_in(lowering.integer(op, 1, values), x.shape)
    size = x.shape[axis]
    assert isinstance(size, int)
    turned = op.flag("reverse")
    if turned:
        x = shorthand.reverse(builder, x, (axis,))
    if op.flag("exclusive") and size:
        x = _shifted(lowering, x, axis, 1)
    step = 1
    while step < size:
        # After it each element holds 2 step of the elements up to it.
        x = _log_add(Formula(builder, x), Formula(builder, _shifted(lowering, x, axis, step)))
        step *= 2
    return [shorthand.reverse(builder, x, (axis,)) if turned else x]


def _shifted(lowering: Lowering, x: Value, axis: int, by: int) -> Value:
    builder, size = lowering.builder, x.shape[axis]
    assert isinstance(size, int)
    kept = shorthand.slice_axis(builder, x, axis, 0, size - by)
    sizes = tuple(by if k == axis else size for k, size in enumerate(x.shape))
    nothing = shorthand.full(builder, sizes, -math.inf, x.dtype)
    return shorthand.concat(builder, (nothing, kept), axis)


def _log_add(x: Formula, y: Formula) -> Value:
    high = x.maximum(y)
    apart = x - y
    same = x.compare("EQ", y)  # infinities of one sign have no difference
    gap = same.drop(apart).apply("abs")
    return (high + (-gap).apply("exponential").apply("log_plus_one")).value


_FLOAT = {"T": FLOATS}
register(
    OpKind("Igamma", "a:T x:T", broadcasted, binary("igamma"), _FLOAT),
    OpKind("Igammac", "a:T x:T", broadcasted, binary("igammac"), _FLOAT),
    OpKind("IgammaGradA", "a:T x:T", broadcasted, binary("igamma_grad_a"), _FLOAT,
           differentiable=False),
    OpKind("Betainc", "a:T b:T x:T", _betainc_infer, _betainc,
           {"T": (dtypes.float32, dtypes.float64)}),
    OpKind("CumulativeLogsumexp", "x:T axis:index", like_input, _cumulative, _FLOAT),
)  # fmt: skip

igamma = binary_function("Igamma", "The share of Gamma(a) that the integral from 0 to x has.")
igammac = binary_function("Igammac", "1 - igamma(a, x), computed directly where it is small.")
