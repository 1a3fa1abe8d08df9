"""Floats of 8, 6 and 4 bits to and from f32, on their bits.

Conversions round once, to nearest, ties to even.  What is too large becomes infinity
where the format has one, else NaN; whoever wants the largest number instead clamps first.  The
4- and 6-bit formats have neither: there it becomes the largest number, and NaN becomes 0.  A scale
is an exponent alone: halfway numbers round up, and what is not above 0 is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorkiln.compiler.ir.dtypes import (
    F4E2M1FN,
    F6E2M3FN,
    F6E3M2FN,
    F8E3M4,
    F8E4M3,
    F8E4M3B11FNUZ,
    F8E4M3FN,
    F8E4M3FNUZ,
    F8E5M2,
    F8E5M2FNUZ,
    F8E8M0FNU,
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
    F6E2M3FN: Format(3, 1, 0x1F, 0x1F, 0, bits=6),
    F6E3M2FN: Format(2, 3, 0x1F, 0x1F, 0, bits=6),
    F8E4M3: Format(3, 7, 0x77, 0x78, 0x7C),
    F8E3M4: Format(4, 3, 0x6F, 0x70, 0x78),
    F8E4M3B11FNUZ: Format(3, 11, 0x7F, 0x80, 0x80, unsigned_zero=True),
    F8E4M3FN: Format(3, 7, 0x7E, 0x7F, 0x7F),
    F8E5M2: Format(2, 15, 0x7B, 0x7C, 0x7E),
    F8E4M3FNUZ: Format(3, 8, 0x7F, 0x80, 0x80, unsigned_zero=True),
    F8E5M2FNUZ: Format(2, 16, 0x7F, 0x80, 0x80, unsigned_zero=True),
}
STORED: tuple[DType, ...] = (*FORMATS, F8E8M0FNU)


def widen_float8(b: LetBuilder, x: Expr) -> Expr:
    """A narrow float as f32, exact."""
    if x.dtype == F8E8M0FNU:
        return _widen_scale(b, x)
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
    if dtype == F8E8M0FNU:
        return _narrow_scale(b, x)
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


_NO_SCALE = 0xFF  # the only code that is no number


def _widen_scale(b: LetBuilder, x: Expr) -> Expr:
    """The code is an f32's exponent; the least, 2^-127, is subnormal there."""
    code = b.convert(b.let(Bitcast(x, U8)), U32)
    moved = b.binary("shl", code, _MANTISSA)
    bits = b.select(b.binary("eq", code, 0), Const(1 << (_MANTISSA - 1), U32), moved)
    return b.select(b.binary("eq", code, _NO_SCALE), b.nan(F32), b.from_bits(bits, F32))


def _narrow_scale(b: LetBuilder, x: Expr) -> Expr:
    """Half of a step added to the bits carries into the exponent; below 2^-126 they are spaced as the
    numbers are, so that the half lies at one and a half times 2^-127."""
    bits = b.bits(x)
    half = 1 << (_MANTISSA - 1)
    rounded = b.binary("shr_logical", b.add(bits, half), _MANTISSA)
    order = b.let(Bitcast(bits, I32))
    code = b.select(b.binary("lt", order, half + half // 2), Const(0, U32), rounded)
    is_large = b.binary("gt", b.let(Bitcast(code, I32)), _NO_SCALE)
    is_none = b.binary("or", b.binary("le", order, 0), is_large)
    code = b.select(is_none, Const(_NO_SCALE, U32), code)
    return b.let(Bitcast(b.convert(code, U8), F8E8M0FNU))
