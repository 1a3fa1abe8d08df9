"""Elementwise mathematics of one and two tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph import dtypes, operators
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.division import no_zero_divisor
from tensorkiln.frontends.graph.dtypes import FLOATS, NUMBERS, DType
from tensorkiln.frontends.graph.functions import binary_function, unary_function
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.kinds import Host, Lower, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import (
    base,
    binary,
    broadcasted,
    compared,
    comparison,
    formula,
    like_input,
    predicate,
    unary,
)  # fmt: skip
from tensorkiln.frontends.graph.shapes import ShapeError, brackets, compatible, merge, show
from tensorkiln.frontends.graph.tensor import Tensor


def _quotient_corrected(build: Callable[[Formula, Formula, Formula, Formula], Formula]) -> Lower:
    """Integer division and remainder with Python's sign, from those that truncate."""

    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        builder = lowering.builder
        x, y = (Formula(builder, v) for v in shorthand.broadcast_together(builder, *values))
        rest = Formula(builder, builder.one("remainder", (x.value, y.value)))
        signs_differ = Formula(
            builder, builder.one("xor", (rest.compare("LT", 0).value, y.compare("LT", 0).value))
        )
        inexact = rest.compare("NE", 0)
        wrong = Formula(builder, builder.one("and", (signs_differ.value, inexact.value)))
        return [build(x, y, rest, wrong).value]

    return lower


def _floor_div(x: Formula, y: Formula, rest: Formula, wrong: Formula) -> Formula:
    quotient = x / y
    if x.value.dtype.is_float:
        return quotient.apply("floor")
    return wrong.select(quotient - 1, quotient)


def _floor_mod(x: Formula, y: Formula, rest: Formula, wrong: Formula) -> Formula:
    return wrong.select(rest + y, rest)


def _atan(x: Formula) -> Formula:
    one = Formula(x.builder, shorthand.full_like(x.builder, x.value, 1))
    return Formula(x.builder, x.builder.one("atan2", (x.value, one.value)))


def _asin(x: Formula) -> Formula:
    other = ((1.0 - x) * (1.0 + x)).apply("sqrt")
    return Formula(x.builder, x.builder.one("atan2", (x.value, other.value)))


def _acos(x: Formula) -> Formula:
    other = ((1.0 - x) * (1.0 + x)).apply("sqrt")
    return Formula(x.builder, x.builder.one("atan2", (other.value, x.value)))


def _sinh(x: Formula) -> Formula:
    up = x.apply("exponential_minus_one")
    return (up + up / (up + 1.0)) * 0.5


def _cosh(x: Formula) -> Formula:
    up = x.apply("exponential")
    return (up + 1.0 / up) * 0.5


def _is_nan(x: Formula) -> Formula:
    return x.compare("NE", x)


def _is_inf(x: Formula) -> Formula:
    return x.apply("abs").compare("EQ", math.inf)


def _rounded(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    (x,) = values
    return [lowering.builder.one("round_nearest_even", (x,)) if x.dtype.is_float else x]


def _square(x: Formula) -> Formula:
    return x * x


def _squared_difference(x: Formula, y: Formula) -> Formula:
    return (x - y) * (x - y)


def _cast(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    (x,), target = values, op.outputs[0].dtype.ir
    if x.dtype.is_complex and not target.is_complex:  # as in TensorFlow, the imaginary part is lost
        x = lowering.builder.one("real", (x,))
    return [shorthand.convert(lowering.builder, x, target)]


def _cast_infer(op: Operation) -> Sequence[Result]:
    target = op.attributes["DstT"]
    assert isinstance(target, DType)
    if dtypes.string in (target, base(op.inputs[0])):
        raise TypeError(f"Cast from {base(op.inputs[0]).name} to {target.name} is not supported")
    return [(target, op.inputs[0].sizes)]


def _add_n(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    total = values[0]
    for value in values[1:]:
        total = shorthand.binary(lowering.builder, "add", total, value)
    return [total]


def cast(x: object, dtype: object, name: str | None = None) -> Tensor:
    """`x` in another dtype; floats to integers truncate towards zero."""
    target = dtypes.as_dtype(dtype).base_dtype
    with graph_of([x]).name_scope(name or "Cast") as scope:
        tensor = convert_to_tensor(x, name="x")
        return tensor if base(tensor) is target else make("Cast", (tensor,), scope, DstT=target)


def div(x: object, y: object, name: str | None = None) -> Tensor:
    """Python 2's division: floats are divided, integers divided and floored."""
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name or "div") as scope:
        left = convert_to_tensor(x, name="x")
        right = convert_to_tensor(y, base(left), name="y")
        kind = "RealDiv" if left.dtype.is_floating or left.dtype.is_complex else "FloorDiv"
        return make(kind, (left, right), scope)


def truediv(x: object, y: object, name: str | None = None) -> Tensor:
    """Python 3's division: integers are converted to floats first."""
    return operators.true_divide(x, y, name or "truediv")


def divide(x: object, y: object, name: str | None = None) -> Tensor:
    """Python 3's division, `x / y`."""
    return truediv(x, y, name)


def realdiv(x: object, y: object, name: str | None = None) -> Tensor:
    """x / y of floats, with broadcasting."""
    return make("RealDiv", (x, y), name)


def floordiv(x: object, y: object, name: str | None = None) -> Tensor:
    """Division rounded towards minus infinity."""
    return operators.binary("FloorDiv", name or "floordiv", x, y)


def add_n(inputs: Sequence[object], name: str | None = None) -> Tensor:
    """The sum of tensors of one shape; ValueError for an empty list."""
    if not isinstance(inputs, list | tuple) or not inputs:
        raise ValueError(
            "inputs must be a list of at least one Tensor with the same dtype and shape"
        )
    tensors = [convert_to_tensor(item) for item in inputs]
    if len(tensors) == 1:
        return make("Identity", (tensors[0],), name) if name else tensors[0]
    return make("AddN", (tensors,), name)


def scalar_mul(scalar: object, x: object, name: str | None = None) -> Tensor:
    """A scalar times a tensor."""
    tensor = convert_to_tensor(x)
    factor = convert_to_tensor(scalar, base(tensor), "scalar")
    if factor.sizes not in ((), None):
        raise ValueError("Only scalar multiply works, got shape " + show(factor.sizes))
    return make("Mul", (factor, tensor), name)


_FLOAT = {"T": FLOATS}
_NUMBER = {"T": NUMBERS}
_INEXACT = {"T": (*FLOATS, dtypes.complex64, dtypes.complex128)}
_OF_COMPLEX = ("Sqrt", "Rsqrt", "Exp", "Log", "Sin", "Cos", "Tanh")
_UNARY_IR = {
    "Neg": "negate", "Abs": "abs", "Sign": "sign",
}  # fmt: skip
_UNARY_FLOAT_IR = {
    "Sqrt": "sqrt", "Rsqrt": "rsqrt", "Exp": "exponential", "Expm1": "exponential_minus_one",
    "Log": "log", "Log1p": "log_plus_one", "Sin": "sine", "Cos": "cosine", "Tan": "tan",
    "Tanh": "tanh", "Sigmoid": "logistic", "Ceil": "ceil", "Floor": "floor",
    "Rint": "round_nearest_even", "Erf": "erf", "Erfc": "erfc",
}  # fmt: skip
_UNARY_FORMULAS: dict[str, Callable[[Formula], Formula]] = {
    "Square": _square,
    "Reciprocal": lambda x: 1.0 / x,
    "Asin": _asin, "Acos": _acos, "Atan": _atan, "Sinh": _sinh, "Cosh": _cosh,
}  # fmt: skip
_BINARY_IR = {
    "Add": "add", "Sub": "subtract", "Mul": "multiply", "RealDiv": "divide", "Pow": "power",
    "Maximum": "maximum", "Minimum": "minimum", "Atan2": "atan2",
}  # fmt: skip
_TRUNCATING = {"TruncateDiv": "divide", "TruncateMod": "remainder"}
_COMPARISONS = {
    "Equal": "EQ", "NotEqual": "NE", "Less": "LT", "LessEqual": "LE", "Greater": "GT",
    "GreaterEqual": "GE",
}  # fmt: skip
_BITWISE = {"BitwiseAnd": "and", "BitwiseOr": "or", "BitwiseXor": "xor"}
_LOGICAL = {"LogicalAnd": "and", "LogicalOr": "or"}


def _sum_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    for tensor in op.inputs[1:]:
        if not compatible(sizes, tensor.sizes):
            left, right = sizes or (), tensor.sizes or ()
            if len(left) != len(right):
                raise ShapeError(f"Shapes must be equal rank, but are {len(left)} and {len(right)}")
            place = next(k for k, (a, b) in enumerate(zip(left, right, strict=True)) if a != b)
            raise ShapeError(
                f"Dimension {place} in both shapes must be equal, but are {left[place]} and "
                f"{right[place]}. Shapes are {brackets(left)} and {brackets(right)}."
            )
        sizes = merge(sizes, tensor.sizes)
    return [(base(op.inputs[0]), sizes)]


def _texts_compared(wanted: bool) -> Host:
    def host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
        return [np.asarray((arrays[0] == arrays[1]) == wanted, np.bool_)]

    return host


_TEXTS = {"Equal": _texts_compared(True), "NotEqual": _texts_compared(False)}
_FLAT = ("Ceil", "Floor", "Rint", "Sign")

register(
    *(OpKind(k, "x:T", like_input, unary(n), _NUMBER, differentiable=k not in _FLAT)
      for k, n in _UNARY_IR.items()),
    *(OpKind(k, "x:T", like_input, unary(n), _INEXACT if k in _OF_COMPLEX else _FLOAT,
             differentiable=k not in _FLAT)
      for k, n in _UNARY_FLOAT_IR.items()),
    *(OpKind(k, "x:T", like_input, formula(f), _NUMBER) for k, f in _UNARY_FORMULAS.items()),
    *(OpKind(k, "x:T y:T", broadcasted, binary(n), _NUMBER) for k, n in _BINARY_IR.items()),
    *(OpKind(k, "x:T y:T", broadcasted, no_zero_divisor(binary(n)), _NUMBER)
      for k, n in _TRUNCATING.items()),
    *(OpKind(k, "x:T y:T", compared, comparison(n), differentiable=False,
             host=_TEXTS.get(k))
      for k, n in _COMPARISONS.items()),
    *(OpKind(k, "x:T y:T", broadcasted, binary(n), {"T": dtypes.INTEGERS}, differentiable=False)
      for k, n in _BITWISE.items()),
    *(OpKind(k, "x:bool y:bool", compared, binary(n), differentiable=False)
      for k, n in _LOGICAL.items()),
    OpKind("LogicalNot", "x:bool", predicate, unary("not"), differentiable=False),
    OpKind("Invert", "x:T", like_input, unary("not"), {"T": dtypes.INTEGERS},
           differentiable=False),
    OpKind("IsNan", "x:T", predicate, formula(_is_nan), _FLOAT, differentiable=False),
    OpKind("IsInf", "x:T", predicate, formula(_is_inf), _FLOAT, differentiable=False),
    OpKind("IsFinite", "x:T", predicate, unary("is_finite"), _FLOAT, differentiable=False),
    OpKind("Round", "x:T", like_input, _rounded, _NUMBER, differentiable=False),
    OpKind("FloorDiv", "x:T y:T", broadcasted, no_zero_divisor(_quotient_corrected(_floor_div)),
           _NUMBER, differentiable=False),
    OpKind("FloorMod", "x:T y:T", broadcasted, no_zero_divisor(_quotient_corrected(_floor_mod)),
           _NUMBER),
    OpKind("SquaredDifference", "x:T y:T", broadcasted, formula(_squared_difference), _NUMBER),
    OpKind("Cast", "x:T", _cast_infer, _cast),
    OpKind("AddN", "inputs:T*", _sum_infer, _add_n, _NUMBER),
)  # fmt: skip

add = binary_function("Add", "x + y, with broadcasting.")
subtract = binary_function("Sub", "x - y, with broadcasting.")
multiply = binary_function("Mul", "x * y, with broadcasting.")
pow_ = binary_function("Pow", "x to the power y.")
maximum = binary_function("Maximum", "The larger of x and y; the gradient of a tie goes to x.")
minimum = binary_function("Minimum", "The smaller of x and y; the gradient of a tie goes to x.")
floor_div = binary_function("FloorDiv", "x / y rounded towards minus infinity.")
mod = binary_function("FloorMod", "The remainder with the sign of y, as Python's %.")
truncatediv = binary_function("TruncateDiv", "x / y rounded towards zero.")
truncatemod = binary_function("TruncateMod", "The remainder with the sign of x.")
squared_difference = binary_function("SquaredDifference", "(x - y) squared.")
atan2 = binary_function("Atan2", "The angle of the point (y, x).")
equal = binary_function("Equal", "x == y, element by element.")
not_equal = binary_function("NotEqual", "x != y, element by element.")
less = binary_function("Less", "x < y, element by element.")
less_equal = binary_function("LessEqual", "x <= y, element by element.")
greater = binary_function("Greater", "x > y, element by element.")
greater_equal = binary_function("GreaterEqual", "x >= y, element by element.")
logical_and = binary_function("LogicalAnd", "x and y of bools.")
logical_or = binary_function("LogicalOr", "x or y of bools.")
negative = unary_function("Neg", "-x.")


def abs_(x: object, name: str | None = None) -> Tensor:
    """The absolute value; of complex numbers it is real."""
    with graph_of([x]).name_scope(name or "Abs") as scope:
        tensor = convert_to_tensor(x, name="x")
        return make("ComplexAbs" if tensor.dtype.is_complex else "Abs", (tensor,), scope)


def round_(x: object, name: str | None = None) -> Tensor:
    """Rounded to the nearest integer, half to even; integers are returned as they are."""
    with graph_of([x]).as_default():
        tensor = convert_to_tensor(x, name="x")
        return tensor if tensor.dtype.is_integer else make("Round", (tensor,), name)


sign = unary_function("Sign", "-1, 0 or 1.")
sqrt = unary_function("Sqrt", "The square root.")
rsqrt = unary_function("Rsqrt", "One over the square root.")
exp = unary_function("Exp", "e to the power x.")
expm1 = unary_function("Expm1", "e to the power x, minus 1.")
log = unary_function("Log", "The natural logarithm.")
log1p = unary_function("Log1p", "The natural logarithm of 1 + x.")
sin = unary_function("Sin", "The sine.")
cos = unary_function("Cos", "The cosine.")
tan = unary_function("Tan", "The tangent.")
asin = unary_function("Asin", "The inverse sine.")
acos = unary_function("Acos", "The inverse cosine.")
atan = unary_function("Atan", "The inverse tangent.")
sinh = unary_function("Sinh", "The hyperbolic sine.")
cosh = unary_function("Cosh", "The hyperbolic cosine.")
tanh = unary_function("Tanh", "The hyperbolic tangent.")
sigmoid = unary_function("Sigmoid", "1 / (1 + exp(-x)).")
ceil = unary_function("Ceil", "Rounded up.")
floor = unary_function("Floor", "Rounded down.")
rint = unary_function("Rint", "Rounded to the nearest integer, half to even.")
erf = unary_function("Erf", "The error function.")
erfc = unary_function("Erfc", "One minus the error function.")
square = unary_function("Square", "x times x.")
reciprocal = unary_function("Reciprocal", "1 / x.")
logical_not = unary_function("LogicalNot", "not x of bools.")
is_nan = unary_function("IsNan", "Where x is NaN.")
is_inf = unary_function("IsInf", "Where x is infinite.")
is_finite = unary_function("IsFinite", "Where x is neither NaN nor infinite.")
