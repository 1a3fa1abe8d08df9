"""Builds straight-line code: every value gets a name, equal values get one name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32, U32, U64, DType
from tensorkiln.compiler.kernel.expr import (
    Binary,
    Bitcast,
    Const,
    Convert,
    Expr,
    Fma,
    Select,
    Unary,
    Var,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import Let

Operand = Expr | float  # a Python number takes the dtype of the operand beside it


class LetBuilder:
    """Appends `Let` statements to `lets`; methods return the name of the value they made.

    `fresh` gives unused names.  Without `fma`, products and sums are rounded separately, for
    targets whose fused multiply-add would be a library call.
    """

    def __init__(self, fresh: Callable[[], str], fma: bool) -> None:
        self.fuses = fma
        self.lets: list[Let] = []
        self._fresh = fresh
        self._names: dict[Expr, Expr] = {}

    def let(self, value: Expr) -> Expr:
        """The name of `value`; constants and names stand for themselves."""
        if isinstance(value, Const | Var):
            return value
        name = self._names.get(value)
        if name is None:
            name = Var(self._fresh(), value.dtype)
            self.lets.append(Let(name, value))
            self._names[value] = name
        return name

    def unary(self, op: str, x: Expr) -> Expr:
        """`op(x)`."""
        return self.let(Unary(op, x))

    def binary(self, op: str, a: Operand, b: Operand) -> Expr:
        """`op(a, b)`."""
        if isinstance(a, int | float):
            if isinstance(b, int | float):
                raise TypeError(f"{op} of two numbers has no dtype")
            a = constant(a, b.dtype)
        elif isinstance(b, int | float):
            b = constant(b, a.dtype)
        return self.let(Binary(op, a, b))

    def add(self, a: Operand, b: Operand) -> Expr:
        """`a + b`."""
        return self.binary("add", a, b)

    def sub(self, a: Operand, b: Operand) -> Expr:
        """`a - b`."""
        return self.binary("sub", a, b)

    def mul(self, a: Operand, b: Operand) -> Expr:
        """`a * b`."""
        return self.binary("mul", a, b)

    def div(self, a: Operand, b: Operand) -> Expr:
        """`a / b`."""
        return self.binary("div", a, b)

    def fma(self, a: Expr, b: Operand, c: Operand) -> Expr:
        """`a * b + c`, rounded once where the target can, else twice."""
        if not self.fuses:
            return self.add(self.mul(a, b), c)
        return self.let(Fma(a, _operand(b, a.dtype), _operand(c, a.dtype)))

    def negate(self, x: Expr) -> Expr:
        """`-x`."""
        return self.unary("neg", x)

    def magnitude(self, x: Expr) -> Expr:
        """`|x|`."""
        return self.unary("abs", x)

    def select(self, condition: Expr, on_true: Operand, on_false: Operand) -> Expr:
        """`on_true` where `condition` holds, else `on_false`; one of them has a dtype."""
        dtype = on_false.dtype if isinstance(on_true, int | float) else on_true.dtype  # type: ignore[union-attr]
        return self.let(Select(condition, _operand(on_true, dtype), _operand(on_false, dtype)))

    def at_most(self, x: Expr, limit: float) -> Expr:
        """The smaller of `x` and `limit`; NaN stays NaN."""
        return self.select(self.binary("gt", x, limit), limit, x)

    def at_least(self, x: Expr, limit: float) -> Expr:
        """The larger of `x` and `limit`; NaN stays NaN."""
        return self.select(self.binary("lt", x, limit), limit, x)

    def convert(self, x: Expr, dtype: DType) -> Expr:
        """`x` as `dtype`, by value."""
        if isinstance(x, Const) and dtype.is_float:
            return constant(x.value, dtype)
        return x if x.dtype == dtype else self.let(Convert(x, dtype))

    def bits(self, x: Expr) -> Expr:
        """The bits of a float as an unsigned integer."""
        return self.let(Bitcast(x, bits_dtype(x.dtype)))

    def from_bits(self, x: Expr, dtype: DType) -> Expr:
        """The float whose bits are `x`."""
        return self.let(Bitcast(x, dtype))

    def polynomial(self, x: Expr, coefficients: Sequence[float]) -> Expr:
        """`sum(c[k] * x**k)` by Horner's rule."""
        result: Operand = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            if isinstance(result, int | float):
                result = constant(result, x.dtype)
            result = self.fma(result, x, coefficient)
        return _operand(result, x.dtype)

    def with_sign_of(self, magnitude: Expr, sign: Expr) -> Expr:
        """`magnitude`, not negative, with the sign bit of `sign`."""
        bit = self.binary("and", self.bits(sign), sign_bit(sign.dtype))
        return self.flip_sign(magnitude, bit)

    def flip_sign(self, x: Expr, bit: Expr) -> Expr:
        """`-x` where `bit`, an unsigned integer, is the sign bit; `x` where it is zero."""
        return self.from_bits(self.binary("xor", self.bits(x), bit), x.dtype)

    def nan(self, dtype: DType) -> Expr:
        """A quiet NaN."""
        pattern = 0x7FC00000 if dtype == F32 else 0x7FF8000000000000
        return self.from_bits(Const(pattern, bits_dtype(dtype)), dtype)


def constant(value: float, dtype: DType) -> Const:
    """`value` as `dtype` holds it."""
    if dtype.is_integer:
        return Const(int(value), dtype)
    return Const(float(np.float32(value)) if dtype == F32 else float(value), dtype)


def _operand(value: Operand, dtype: DType) -> Expr:
    return constant(value, dtype) if isinstance(value, int | float) else value


def bits_dtype(dtype: DType) -> DType:
    """The unsigned integer as wide as `dtype`."""
    return U32 if dtype == F32 else U64


def mantissa_bits(dtype: DType) -> int:
    """Stored bits of the significand."""
    return 23 if dtype == F32 else 52


def exponent_bias(dtype: DType) -> int:
    """The exponent field of 1.0."""
    return 127 if dtype == F32 else 1023


def sign_bit(dtype: DType) -> int:
    """The bits of -0.0."""
    return 1 << (dtype.bits - 1)


def rounder(dtype: DType) -> float:
    """1.5 * 2**mantissa_bits: adding it rounds to an integer, held in the low bits of the sum."""
    return 1.5 * 2.0 ** mantissa_bits(dtype)
