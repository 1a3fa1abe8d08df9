"""Floats of 8 and 4 bits to and from f32, on their bits.

Conversions round once, to nearest, ties to even.  What is too large becomes infinity
where the format has one, else NaN; whoever wants the largest number instead clamps first.  The
4-bit format has neither: there it becomes the largest number, and NaN becomes 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorkiln.compiler.ir.dtypes import (
    F4E2M1FN,
    F8E4M3FN,
    F8E4M3FNUZ,
    F8E5M2,
    F8E5M2FNUZ,
    F32,
    I32,
    U8,
    U32,
    DType,
)
from tensorkiln.compiler.kernel.expr import Bitcast, Const, Expr
from tensorkiln.compiler.kernel.math.builder import LetBuilder

_MANTISSA, _BIAS = 23, 127  # of f32


@dataclass(frozen=True, slots=True)
class Format:
    """A narrow float: stored significand bits, the exponent of 1.0, and the codes of magnitudes.

    `largest` is the greatest number's; `beyond` is what larger ones become, `nan` a NaN's.  With
    `unsigned_zero` there is no -0: its code, the sign bit alone, is the only NaN.
    """

    mantissa: int
    bias: int
    largest: int
    beyond: int
    nan: int
    unsigned_zero: bool = False
    bits: int = 8

    @property
    def sizes(self) -> int:
        """The bits of a code but the sign."""
        return (1 << (self.bits - 1)) - 1


FORMATS: dict[DType, Format] = {
    F4E2M1FN: Format(1, 1, 0x7, 0x7, 0, bits=4),
    F8E4M3FN: Format(3, 7, 0x7E, 0x7F, 0x7F),
    F8E5M2: Format(2, 15, 0x7B, 0x7C, 0x7E),
    F8E4M3FNUZ: Format(3, 8, 0x7F, 0x80, 0x80, unsigned_zero=True),
    F8E5M2FNUZ: Format(2, 16, 0x7F, 0x80, 0x80, unsigned_zero=True),
}


def widen_float8(b: LetBuilder, x: Expr) -> Expr:
    """A narrow float as f32, exact."""
    form = FORMATS[x.dtype]
    bits = b.convert(b.let(Bitcast(x, U8)), U32)
    if form.bits < 8:
        bits = b.binary("and", bits, 2 * form.sizes + 1)
    size = b.binary("and", bits, form.sizes)
    sign = b.binary("shl", b.binary("xor", bits, size), 32 - form.bits)
    # Exponent and significand moved into place make a number that is too small by a power of two,
    # subnormals included.
    moved = b.binary("shl", size, _MANTISSA - form.mantissa)
    scaled = b.mul(b.from_bits(moved, F32), 2.0 ** (_BIAS - form.bias))
    if form.unsigned_zero:
        value = b.from_bits(b.binary("or", b.bits(scaled), sign), F32)
        return b.select(b.binary("eq", bits, form.nan), b.nan(F32), value)
    if form.largest == form.sizes:  # every code is a number
        return b.from_bits(b.binary("or", b.bits(scaled), sign), F32)
    special = b.binary("or", moved, 0x7F800000)  # the significand of infinity is 0, a NaN's is not
    is_special = b.binary("gt", b.let(Bitcast(size, I32)), form.largest)
    magnitude = b.select(is_special, special, b.bits(scaled))
    return b.from_bits(b.binary("or", magnitude, sign), F32)


def narrow_float8(b: LetBuilder, x: Expr, dtype: DType) -> Expr:
    """An f32 as a narrow float."""
    form = FORMATS[dtype]
    dropped = _MANTISSA - form.mantissa
    bits = b.bits(x)
    size = b.binary("and", bits, 0x7FFFFFFF)
    sign = b.binary("shr_logical", b.binary("xor", bits, size), 32 - form.bits)
    # Compared as signed numbers, which they are not too large for: SSE2 has no other comparison.
    order = b.let(Bitcast(size, I32))
    # Half an ulp less one, and one more where the last kept bit is odd, carries as rounding does.
    is_odd = b.binary("and", b.binary("shr_logical", size, dropped), 1)
    rebiased = b.sub(size, (_BIAS - form.bias) << _MANTISSA)
    half = (1 << (dropped - 1)) - 1
    normal = b.binary("shr_logical", b.add(b.add(rebiased, half), is_odd), dropped)
    # The last place of this number is the smallest subnormal: adding it rounds to that.
    anchor = 1 - form.bias - form.mantissa + _MANTISSA
    moved = b.bits(b.add(b.from_bits(size, F32), 2.0**anchor))
    subnormal = b.sub(moved, (anchor + _BIAS) << _MANTISSA)
    is_small = b.binary("lt", order, (1 - form.bias + _BIAS) << _MANTISSA)
    code = b.select(is_small, subnormal, normal)
    is_beyond = b.binary("gt", b.let(Bitcast(code, I32)), form.largest)
    is_nan = b.binary("gt", order, 0x7F800000)
    special = b.select(is_nan, Const(form.nan, U32), form.beyond)
    if form.unsigned_zero:
        signed = b.select(b.binary("eq", code, 0), code, b.binary("or", code, sign))
        whole = b.select(is_beyond, special, signed)
    else:
        whole = b.binary("or", b.select(is_beyond, special, code), sign)
    if form.nan == 0:
        whole = b.select(is_nan, 0, whole)
    return b.let(Bitcast(b.convert(whole, U8), dtype))
