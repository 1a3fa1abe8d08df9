"""Special functions, and functions made safe at zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import F64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS, NUMBERS
from tensorkiln.frontends.graph.functions import (
    binary_function,
    scoped_binary_function,
    scoped_function,
    unary_function,
)
from tensorkiln.frontends.graph.kinds import Lower, OpKind, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_reduce import reduce_sum
from tensorkiln.frontends.graph.rules import binary, broadcasted, formula, like_input, unary
from tensorkiln.frontends.graph.tensor import Tensor

_FAR = 1e4  # beyond it log(2 x) and one more term give the inverse hyperbolic functions


def _far(size: Formula, sign: float) -> Formula:
    """log(2 x) + sign / (4 x^2)."""
    inverse = 1.0 / size
    return size.apply("log") + math.log(2) + inverse * inverse * (0.25 * sign)


def _asinh(x: Formula) -> Formula:
    # Odd: by selects, whose gradient at 0 is that of the positive side.
    positive = x.compare("GE", 0)
    size = positive.select(x, -x)
    far = size.compare("GT", _FAR)
    near = far.select(size.full(1.0), size)
    root = (near * near + 1.0).apply("sqrt")
    close = (near + near * near / (root + 1.0)).apply("log_plus_one")
    distant = far.select(size, size.full(1.0))
    found = far.select(_far(distant, 1.0), close)
    return positive.select(found, -found)


def _acosh(x: Formula) -> Formula:
    far = x.compare("GT", _FAR)
    above = far.select(x.full(1.0), x - 1.0)
    close = (above + (above * (above + 2.0)).apply("sqrt")).apply("log_plus_one")
    return far.select(_far(far.select(x, x.full(1.0)), -1.0), close)


def _atanh(x: Formula) -> Formula:
    return (x.apply("log_plus_one") - (-x).apply("log_plus_one")) * 0.5


def _ndtri(p: Formula) -> Formula:
    wide = p.convert(F64)
    return ((wide * 2.0 - 1.0).apply("erf_inv") * math.sqrt(2)).convert(p.value.dtype)


def _scaled_back(name: str) -> Lower:
    """A Bessel function from its exponentially scaled form."""
    return formula(lambda x: x.apply(name) * x.apply("abs").apply("exponential"))


def _unless_zero(x: Formula, y: Formula, value: Formula) -> Formula:
    """`value` where y is not 0, else 0."""
    shape = shorthand.broadcast_shapes(x.value.type.shape, y.value.type.shape)
    spread = Formula(y.builder, shorthand.broadcast_to(y.builder, y.value, shape))
    return spread.compare("EQ", 0).drop(value)


def _where_not_zero(y: Formula, other: Formula) -> Formula:
    """`other` where y is not 0, else 1: an operand that does no harm."""
    shape = shorthand.broadcast_shapes(y.value.type.shape, other.value.type.shape)
    one = Formula(y.builder, shorthand.full(y.builder, shape, 1, other.value.dtype))
    return y.compare("EQ", 0).select(one, other)


def _xlogy(x: Formula, y: Formula) -> Formula:
    return _unless_zero(y, x, x * _where_not_zero(x, y).apply("log"))


def _xlog1py(x: Formula, y: Formula) -> Formula:
    return _unless_zero(y, x, x * _where_not_zero(x, y).apply("log_plus_one"))


def _xdivy(x: Formula, y: Formula) -> Formula:
    return _unless_zero(y, x, x / _where_not_zero(x, y))


def _div_no_nan(x: Formula, y: Formula) -> Formula:
    return _unless_zero(x, y, x / _where_not_zero(y, y))


def _mul_no_nan(x: Formula, y: Formula) -> Formula:
    return _unless_zero(x, y, x * y)


def _next_after(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    # Neighbours differ by one in the bits read as an integer; away from zero is up.
    builder = lowering.builder
    x, y = (Formula(builder, v) for v in shorthand.broadcast_together(builder, *values))
    kind = dtypes.int64.ir if x.value.dtype == F64 else dtypes.int32.ir
    bits = x.apply("bitcast_convert", dtype=kind)
    grows = builder.one(
        "not", (builder.one("xor", (x.compare("LT", y).value, x.compare("GT", 0).value)),)
    )
    moved = Formula(builder, grows).select(bits + 1, bits - 1)
    near = moved.apply("bitcast_convert", dtype=x.value.dtype)
    least = bits.full(1).apply("bitcast_convert", dtype=x.value.dtype)
    from_zero = y.compare("LT", 0).select(-least, least)
    found = x.compare("EQ", 0).select(from_zero, near)
    same = x.compare("EQ", y).select(y, found)
    nan = (x + y).compare("NE", x + y)
    return [nan.select(x + y, same).value]


def lbeta(x: object, name: str | None = None) -> Tensor:
    """sum(lgamma(x)) - lgamma(sum(x)) along the last dim."""
    with graph_of([x]).name_scope(name or "lbeta"):
        tensor = convert_to_tensor(x, name="x")
        logs = reduce_sum(lgamma(tensor), [-1])
        return make("Sub", (logs, lgamma(reduce_sum(tensor, [-1]))), "sub")


def reciprocal_no_nan(x: object, name: str | None = None) -> Tensor:
    """1 / x, and 0 where x is 0."""
    with graph_of([x]).name_scope(name or "reciprocal_no_nan") as scope:
        tensor = convert_to_tensor(x, name="x")
        return make("DivNoNan", (convert_to_tensor(1.0, tensor.dtype.base_dtype), tensor), scope)


def log_sigmoid(x: object, name: str | None = None) -> Tensor:
    """log(sigmoid(x)) = -softplus(-x)."""
    with graph_of([x]).name_scope(name or "LogSigmoid") as scope:
        tensor = convert_to_tensor(x, name="x")
        return make("Neg", (make("Softplus", (-tensor,)),), scope)


def erfcinv(x: object, name: str | None = None) -> Tensor:
    """The inverse of the complementary error function."""
    with graph_of([x]).name_scope(name or "erfcinv"):
        tensor = convert_to_tensor(x, name="start")
        return -ndtri(0.5 * tensor) * math.sqrt(0.5)


def polyval(coeffs: Sequence[object], x: object, name: str | None = None) -> Tensor:
    """The polynomial with these coefficients, the highest power first, at `x`."""
    with graph_of([x, *coeffs]).name_scope(name or "polyval"):
        point = convert_to_tensor(x, name="x")
        if not coeffs:
            return make("ZerosLike", (point,), dtype=point.dtype.base_dtype)
        numbers = [
            convert_to_tensor(c, point.dtype.base_dtype, f"coeff_{k}") for k, c in enumerate(coeffs)
        ]
        total = numbers[0]
        for number in numbers[1:]:
            total = number + total * point
        return total


_FLOAT = {"T": FLOATS}
_UNARY = {
    "Lgamma": "lgamma", "Digamma": "digamma", "Erfinv": "erf_inv", "BesselI0e": "bessel_i0e",
    "BesselI1e": "bessel_i1e",
}  # fmt: skip
_FORMULAS = {"Asinh": _asinh, "Acosh": _acosh, "Atanh": _atanh, "Ndtri": _ndtri}
_SAFE = {
    "Xlogy": _xlogy, "Xlog1py": _xlog1py, "Xdivy": _xdivy, "DivNoNan": _div_no_nan,
    "MulNoNan": _mul_no_nan,
}  # fmt: skip
register(
    *(OpKind(k, "x:T", like_input, unary(n), _FLOAT) for k, n in _UNARY.items()),
    *(OpKind(k, "x:T", like_input, formula(f), _FLOAT) for k, f in _FORMULAS.items()),
    *(OpKind(k, "x:T y:T", broadcasted, formula(f), {"T": NUMBERS}) for k, f in _SAFE.items()),
    OpKind("BesselI0", "x:T", like_input, _scaled_back("bessel_i0e"), _FLOAT),
    OpKind("BesselI1", "x:T", like_input, _scaled_back("bessel_i1e"), _FLOAT),
    OpKind("Zeta", "x:T q:T", broadcasted, binary("zeta"), _FLOAT),
    OpKind("Polygamma", "a:T x:T", broadcasted, binary("polygamma"), _FLOAT),
    OpKind("NextAfter", "x1:T x2:T", broadcasted, _next_after,
           {"T": (dtypes.float32, dtypes.float64)}, differentiable=False),
)  # fmt: skip

lgamma = unary_function("Lgamma", "The logarithm of the absolute value of the gamma function.")
digamma = unary_function("Digamma", "The derivative of lgamma.")
erfinv = scoped_function("Erfinv", "erfinv", "The inverse of the error function.")
ndtri = scoped_function(
    "Ndtri", "ndtri", "The inverse of the normal distribution's cumulative function."
)
bessel_i0e = scoped_function(
    "BesselI0e", "bessel_i0e", "exp(-|x|) I0(x), I0 the modified Bessel function."
)
bessel_i1e = scoped_function(
    "BesselI1e", "bessel_i1e", "exp(-|x|) I1(x), I1 the modified Bessel function."
)
bessel_i0 = scoped_function("BesselI0", "bessel_i0", "The modified Bessel function of order 0.")
bessel_i1 = scoped_function("BesselI1", "bessel_i1", "The modified Bessel function of order 1.")
asinh = unary_function("Asinh", "The inverse hyperbolic sine.")
acosh = unary_function("Acosh", "The inverse hyperbolic cosine.")
atanh = unary_function("Atanh", "The inverse hyperbolic tangent.")
zeta = binary_function("Zeta", "The sum of (q + k) ** -x over k = 0, 1, ...; x > 1.")
polygamma = binary_function("Polygamma", "Derivative number a of digamma at x.")
xlogy = binary_function("Xlogy", "x * log(y), and 0 where x is 0.")
xlog1py = scoped_binary_function("Xlog1py", "xlog1py", "x * log(1 + y), and 0 where x is 0.")
xdivy = scoped_binary_function("Xdivy", "xdivy", "x / y, and 0 where x is 0.")
div_no_nan = binary_function("DivNoNan", "x / y, and 0 where y is 0.", "div_no_nan")
multiply_no_nan = binary_function("MulNoNan", "x * y, and 0 where y is 0.", "multiply_no_nan")
nextafter = binary_function("NextAfter", "The number after x in the direction of y.")
