"""16-bit floats (f16, bf16) on machines that compute in 32 bits, and what is stored only.

After `expand_narrow` a kernel does nothing with 16-bit floats but load, store, select and bitcast
them; where the machine converts between f16 and f32 those two conversions remain.  Everything else
is integer arithmetic on their bits.  Conversions round once, to nearest, ties to even; subnormals,
infinities and NaN are kept (NaN payloads are not).  8-bit floats are computed in f32 as well and
integers of 2 and 4 bits in 8 (narrow_float8.py, narrow_integers.py).
"""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    I2,
    I4,
    I32,
    U2,
    U4,
    U16,
    U32,
    U64,
    DType,
)  # fmt: skip
from tensorkiln.compiler.kernel.expr import (
    Binary,
    Bitcast,
    Const,
    Convert,
    Expr,
    Fma,
    Unary,
    children,
    with_children,
)  # fmt: skip
from tensorkiln.compiler.kernel.math.builder import LetBuilder, constant
from tensorkiln.compiler.kernel.math.narrow_float8 import STORED, narrow_float8, widen_float8
from tensorkiln.compiler.kernel.math.narrow_integers import narrow_integer, widen_integer
from tensorkiln.compiler.kernel.math.rewriting import Rewrite, rewrite_expressions
from tensorkiln.compiler.kernel.stmt import Kernel

NARROW = (F16, BF16, *STORED)
TINY = (I2, U2, I4, U4)


def expand_narrow(kernel: Kernel, half: bool) -> Kernel:
    """`kernel` without arithmetic on 16-bit floats; `half`: the target converts f16 to and from f32.

    Before: `y[i] = convert<f32>(x[i])` of a bf16 x.
    After: `h0 = bitcast<u16>(x[i]); h1 = convert<u32>(h0); ...; y[i] = bitcast<f32>(h2)`.
    """
    return rewrite_expressions(kernel, narrow_expander(half), "h", fma=False)


def narrow_expander(half: bool) -> Rewrite:
    """The rewrite of one expression; see `expand_narrow`."""

    def expand(b: LetBuilder, expr: Expr) -> Expr:
        old = children(expr)
        new = tuple(expand(b, child) for child in old)
        expr = expr if new == old else with_children(expr, new)
        match expr:
            case Convert(x, dtype) if x.dtype in TINY or dtype in TINY:
                return _convert_tiny(b, b.let(x), dtype, half)
            case Convert(x, dtype) if x.dtype in NARROW or dtype in NARROW:
                return _convert(b, b.let(x), dtype, half)
            case Unary() | Binary() if new and new[0].dtype in TINY:
                wide = [b.let(widen_integer(b, b.let(child))) for child in new]
                result = b.let(with_children(expr, tuple(wide)))
                return result if result.dtype == BOOL else narrow_integer(b, result, new[0].dtype)
            case Unary() | Binary() | Fma() if new and new[0].dtype in NARROW:
                wide = [b.let(widen(b, b.let(child), half)) for child in new]
                result = b.let(with_children(expr, tuple(wide)))
                return result if result.dtype == BOOL else narrow(b, result, new[0].dtype, half)
            case _:
                return expr

    return expand


def _convert(b: LetBuilder, x: Expr, dtype: DType, half: bool) -> Expr:
    if x.dtype == dtype:
        return x
    if x.dtype in NARROW:
        wide = widen(b, x, half)
        return narrow(b, wide, dtype, half) if dtype in NARROW else b.convert(wide, dtype)
    return narrow(b, _to_f32(b, x, dtype), dtype, half)


def _convert_tiny(b: LetBuilder, x: Expr, dtype: DType, half: bool) -> Expr:
    if x.dtype == dtype:
        return x
    if x.dtype in TINY:
        x = b.let(widen_integer(b, x))
        return _convert_tiny(b, x, dtype, half) if dtype in TINY else _whole(b, x, dtype, half)
    return narrow_integer(b, widen(b, x, half) if x.dtype in NARROW else x, dtype)


def _whole(b: LetBuilder, x: Expr, dtype: DType, half: bool) -> Expr:
    """An integer of 8 bits as any dtype."""
    return _convert(b, x, dtype, half) if dtype in NARROW else b.convert(x, dtype)


def _to_f32(b: LetBuilder, x: Expr, dtype: DType) -> Expr:
    """A number as an f32 that rounds to `dtype` as the number itself does."""
    if x.dtype == F64:
        return _odd_f32(b, x)
    exact = x.dtype == F32 or x.dtype.bits <= 16
    # Integers that f32 does not hold are beyond the range of f16 and the 8-bit floats.
    if exact or dtype == F16 or dtype in STORED:
        return b.convert(x, F32)
    return _odd_f32(b, b.convert(_odd_integer(b, x), F64))


def _odd_f32(b: LetBuilder, x: Expr) -> Expr:
    """An f64 as f32, rounded to odd: the last bit says that something was cut off.

    Then the rounding to 16 bits is the only one that counts: S. Boldo, G. Melquiond, Emulation of
    a FMA and correctly rounded sums, IEEE Transactions on Computers 57(4), 2008.
    """
    near = b.convert(x, F32)
    back = b.convert(near, F64)
    is_above = b.binary("gt", b.magnitude(back), b.magnitude(x))
    bits = b.bits(near)
    toward_zero = b.select(is_above, b.sub(bits, 1), bits)
    odd = b.binary("or", toward_zero, 1)
    return b.from_bits(b.select(b.binary("ne", back, x), odd, bits), F32)


def _odd_integer(b: LetBuilder, x: Expr) -> Expr:
    """An integer that f64 holds: from 2**53 on its last 11 bits become one sticky bit."""
    if x.dtype.bits < 64:
        return x
    bits = b.convert(x, U64)
    low = b.binary("and", bits, 0x7FF)
    kept = b.binary("xor", bits, low)
    sticky = b.select(b.binary("ne", low, 0), b.binary("or", kept, 0x800), kept)
    odd = b.convert(sticky, x.dtype)
    size = b.magnitude(x) if x.dtype.is_signed else x
    # The magnitude of the lowest i64 is itself, negative, and a multiple of 2**11.
    return b.select(b.binary("ge", size, 1 << 53), odd, x)


def widen(b: LetBuilder, x: Expr, half: bool) -> Expr:
    """A 16-bit or 8-bit float as f32, exact."""
    if isinstance(x, Const):
        return constant(x.value, F32)
    if x.dtype in STORED:
        return widen_float8(b, x)
    if x.dtype == F16 and half:
        return b.convert(x, F32)
    bits = b.convert(b.let(Bitcast(x, U16)), U32)
    if x.dtype == BF16:
        return b.from_bits(b.binary("shl", bits, 16), F32)
    return _widen_f16(b, bits)


def _widen_f16(b: LetBuilder, bits: Expr) -> Expr:
    # Exponent and significand moved into place make a number that is 2**112 times too small,
    # subnormals included.
    size = b.binary("and", bits, 0x7FFF)
    sign = b.binary("shl", b.binary("xor", bits, size), 16)
    moved = b.binary("shl", size, 13)
    finite = b.bits(b.mul(b.from_bits(moved, F32), 2.0**112))
    special = b.binary("or", moved, 0x7F800000)
    magnitude = b.select(b.binary("ge", size, 0x7C00), special, finite)
    return b.from_bits(b.binary("or", magnitude, sign), F32)


def narrow(b: LetBuilder, x: Expr, dtype: DType, half: bool) -> Expr:
    """An f32 as a 16-bit or 8-bit float."""
    if dtype in STORED:
        return narrow_float8(b, x, dtype)
    if dtype == F16 and half:
        return b.convert(x, F16)
    bits = b.bits(x)
    short = _narrow_bf16(b, x, bits) if dtype == BF16 else _narrow_f16(b, bits)
    return b.let(Bitcast(b.convert(short, U16), dtype))


def _narrow_bf16(b: LetBuilder, x: Expr, bits: Expr) -> Expr:
    # Half an ulp less one, and one more where the last kept bit is odd, carries as rounding does.
    is_odd = b.binary("and", b.binary("shr_logical", bits, 16), 1)
    rounded = b.add(b.add(bits, 0x7FFF), is_odd)
    quiet = b.binary("or", bits, 0x400000)
    return b.binary("shr_logical", b.select(b.unary("is_nan", x), quiet, rounded), 16)


def _narrow_f16(b: LetBuilder, bits: Expr) -> Expr:
    size = b.binary("and", bits, 0x7FFFFFFF)
    sign = b.binary("shr_logical", b.binary("xor", bits, size), 16)
    # Compared as signed numbers, which they are not too large for: SSE2 has no other comparison.
    order = b.let(Bitcast(size, I32))
    is_odd = b.binary("and", b.binary("shr_logical", size, 13), 1)
    rebiased = b.sub(size, (127 - 15) << 23)
    normal = b.binary("shr_logical", b.add(b.add(rebiased, 0xFFF), is_odd), 13)
    # The last place of 0.5 in f32 is the smallest subnormal of f16: adding 0.5 rounds to it.
    sum_ = b.add(b.from_bits(size, F32), 0.5)
    subnormal = b.sub(b.bits(sum_), 126 << 23)
    finite = b.select(b.binary("lt", order, 113 << 23), subnormal, normal)
    is_nan = b.binary("gt", order, 0x7F800000)
    special = b.select(is_nan, Const(0x7E00, U32), 0x7C00)
    magnitude = b.select(b.binary("ge", order, 143 << 23), special, finite)
    return b.binary("or", magnitude, sign)


__all__ = ["NARROW", "expand_narrow", "narrow", "widen"]
