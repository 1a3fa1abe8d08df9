"""What each scalar operation of the kernel IR computes, on numpy arrays of one dtype.

This is the specification that interpreter and constant folding share (compiler/kernel/expr.py
states it in words).  Transcendental functions of f32 and narrower are computed in f64 and rounded
once, so they serve as the reference for error bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import BF16, F4E2M1FN, F6E2M3FN, F6E3M2FN, F16, F32, F64, DType

# Dtypes are data here, checked by the verifier, so Python's type checker has nothing to check.
Lanes: TypeAlias = NDArray[Any]
_WITHOUT_NAN = (F4E2M1FN, F6E2M3FN, F6E3M2FN)


def unary(op: str, dtype: DType, x: Lanes) -> Lanes:
    """`op(x)` for x of `dtype`."""
    with np.errstate(all="ignore"):
        if op in _TRANSCENDENTAL:
            return _TRANSCENDENTAL[op](x.astype(np.float64)).astype(dtype.numpy)
        if op in _UNARY_BY_DTYPE:
            return _UNARY_BY_DTYPE[op](dtype, x)
        return _UNARY[op](x)


def binary(op: str, dtype: DType, a: Lanes, b: Lanes) -> Lanes:
    """`op(a, b)` for a and b of `dtype`."""
    with np.errstate(all="ignore"):
        if op in ("pow", "atan2") and dtype.is_float:
            exact = (np.power if op == "pow" else np.arctan2)(
                a.astype(np.float64), b.astype(np.float64)
            )
            return np.asarray(exact.astype(dtype.numpy))
        if op in _BINARY_BY_DTYPE:
            return _BINARY_BY_DTYPE[op](dtype, a, b)
        return _BINARY[op](a, b)


def fma(dtype: DType, a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """`a * b + c`, rounded once."""
    with np.errstate(all="ignore"):
        if not dtype.is_float:
            return np.asarray(a * b + c)
        if dtype == F64:
            return _fma_f64(*np.broadcast_arrays(a, b, c))
        return _fma_by_round_to_odd(dtype, a, b, c)


def convert(source: DType, target: DType, x: Lanes) -> Lanes:
    """The values of x, of dtype `source`, in dtype `target`."""
    with np.errstate(all="ignore"):
        if target.kind == "bool":
            return np.asarray(x != 0)
        if source.is_float and target.is_integer:
            return _saturate(x.astype(np.float64), target)
        if source.is_integer and source.is_storage:
            x = x.astype(np.int8)  # numpy has no way from one such dtype to another
        if target in _WITHOUT_NAN and source.is_float:
            x = np.where(np.isnan(x), np.zeros_like(x), x)
        via_f32 = target == BF16 or (target.is_float and target.is_storage)
        if via_f32 and source not in (F16, F32):
            return _odd_float32(_odd_float64(x)).astype(target.numpy)
        return x.astype(target.numpy)


def bitcast(target: DType, x: Lanes) -> Lanes:
    """The bits of x as another dtype of the same width."""
    return np.ascontiguousarray(x).view(target.numpy)


def _fma_by_round_to_odd(dtype: DType, a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    # The product of two 24-bit significands is exact in f64.  Rounding the sum to odd there (the
    # last bit says that something was cut off) makes the second rounding the only one that counts:
    # Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums", 2008.
    product = a.astype(np.float64) * b.astype(np.float64)
    return np.asarray(_odd_sum(product, c.astype(np.float64)).astype(dtype.numpy))


def _fma_f64(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    # Boldo and Melquiond's algorithm: the product as two numbers, their sum with c as three, of
    # which the small two are added with rounding to odd.
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    rest = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    high, low = _exact_sum(c, rest)
    top, middle = _exact_sum(product, high)
    result = top + _odd_sum(low, middle)
    size, factor = np.abs(product), np.maximum(np.abs(a), np.abs(b))
    safe = (size > 2.0**-900) & (size < 2.0**900) & (factor < 2.0**900) & (np.abs(c) < 2.0**1000)
    nothing = (a == 0) | (b == 0)  # the product is exact
    safe, result = safe | nothing, np.where(nothing, product + c, result)
    if not safe.all():
        odd = ~safe
        result[odd] = [
            _fma64(*map(float, each)) for each in zip(a[odd], b[odd], c[odd], strict=True)
        ]
    return np.asarray(result)


def _halves(x: Lanes) -> tuple[Lanes, Lanes]:
    # x as two numbers of at most 26 bits: Dekker, A floating-point technique, 1971.
    scaled = x * (2.0**27 + 1.0)
    high = scaled - (scaled - x)
    return high, x - high


def _exact_sum(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    # The rounded sum and its error: Knuth, The Art of Computer Programming 2, 4.2.2.
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def _odd_sum(a: Lanes, b: Lanes) -> Lanes:
    # a + b; where it is not exact, the neighbour whose last bit is 1.
    total, error = _exact_sum(a, b)
    even = (np.asarray(total).view(np.int64) & 1) == 0
    fix = np.isfinite(total) & (error != 0) & even
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.asarray(np.where(fix, odd, total))


def _odd_float32(x: Lanes) -> Lanes:
    """f64 as f32, rounded to odd, so that a rounding to fewer digits is the only one that counts."""
    near = x.astype(np.float32)
    inexact = np.isfinite(x) & (near.astype(np.float64) != x)
    low = np.where(np.abs(near.astype(np.float64)) > np.abs(x), np.nextafter(near, 0), near)
    odd = (low.astype(np.float32).view(np.int32) | 1).view(np.float32)
    return np.asarray(np.where(inexact, odd, near))


def _odd_float64(x: Lanes) -> Lanes:
    """Numbers as f64; integers from 2**53 on have a sticky bit in place of their last 11."""
    if x.dtype.kind not in "iu" or x.dtype.itemsize < 8:
        return x.astype(np.float64)
    low = x & 0x7FF
    sticky = (x - low) | np.where(low != 0, 0x800, 0).astype(x.dtype)
    large = (x >= 1 << 53) | (x <= -(1 << 53)) if x.dtype.kind == "i" else x >= 1 << 53
    return np.asarray(np.where(large, sticky, x).astype(np.float64))


def _fma64(a: float, b: float, c: float) -> float:
    if not all(map(math.isfinite, (a, b, c))):
        # A product that overflows must not turn into an infinity that meets c.
        return c if math.isfinite(a) and math.isfinite(b) else a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if not exact:
        return a * b + c  # exact too, with the right sign of zero
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def _saturate(x: Lanes, target: DType) -> Lanes:
    low = -(1 << (target.bits - 1)) if target.is_signed else 0
    high = low + (1 << target.bits) - 1
    whole = np.trunc(x)
    above, below = whole >= float(high + 1), whole < float(low)
    inside = ~(above | below | np.isnan(x))
    result = np.zeros(x.shape, target.numpy)
    result[inside] = whole[inside].astype(target.numpy)
    result[above], result[below] = high, low
    return result


def _unsigned(dtype: DType, x: Lanes) -> Lanes:
    return np.ascontiguousarray(x).view(f"u{dtype.bytes}")


def _popcount(dtype: DType, x: Lanes) -> Lanes:
    counts = [int(v).bit_count() for v in _unsigned(dtype, x).ravel()]
    return np.array(counts, dtype.numpy).reshape(x.shape)


def _count_leading_zeros(dtype: DType, x: Lanes) -> Lanes:
    counts = [dtype.bits - int(v).bit_length() for v in _unsigned(dtype, x).ravel()]
    return np.array(counts, dtype.numpy).reshape(x.shape)


def _sign(dtype: DType, x: Lanes) -> Lanes:
    # sign(-0.0) is -0.0 and sign(NaN) is NaN.
    return np.asarray(np.where(x == 0, x, np.sign(x))) if dtype.is_float else np.sign(x)


def _round_away(dtype: DType, x: Lanes) -> Lanes:
    wide = x.astype(np.float64)
    whole = np.trunc(wide)
    away = np.where(np.abs(wide - whole) >= 0.5, whole + np.sign(wide), whole)
    return np.asarray(np.copysign(away, wide).astype(dtype.numpy))


def _logistic(x: Lanes) -> Lanes:
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + small), small / (1 + small)))


def _erf(x: Lanes) -> Lanes:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), np.float64)


def _divide(dtype: DType, a: Lanes, b: Lanes) -> Lanes:
    if dtype.is_float:
        return np.asarray(a / b)
    # Totality as RISC-V has it: x / 0 = -1 (all ones), INT_MIN / -1 = INT_MIN.
    return np.asarray(np.where(b == 0, np.array(-1).astype(dtype.numpy), _quotient(dtype, a, b)))


def _quotient(dtype: DType, a: Lanes, b: Lanes) -> Lanes:
    safe = np.where(b == 0, np.ones_like(b), b)
    floor = np.floor_divide(a, safe)
    if not dtype.is_signed:
        return np.asarray(floor)
    inexact = a - floor * safe != 0
    truncated = floor + (inexact & ((a < 0) != (safe < 0))).astype(dtype.numpy)
    return np.asarray(np.where(safe == -1, -a, truncated))


def _remainder(dtype: DType, a: Lanes, b: Lanes) -> Lanes:
    if dtype.is_float:
        return np.asarray(np.fmod(a, b))
    return np.asarray(np.where(b == 0, a, a - _quotient(dtype, a, b) * b))


def _integer_power(dtype: DType, a: Lanes, b: Lanes) -> Lanes:
    """Wrapping; a negative exponent gives 1/a truncated (0 unless a is 1 or -1)."""
    a, b = np.broadcast_arrays(a, b)
    modulus = 1 << dtype.bits
    result = []
    for base, exponent in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
        if exponent < 0:
            value = {1: 1, -1: -1 if exponent % 2 else 1}.get(base, 0)
        else:
            value = pow(base, exponent, modulus)
        result.append(value % modulus)
    return np.array(result, np.uint64).astype(dtype.numpy).reshape(a.shape)


def _amount(dtype: DType, b: Lanes) -> tuple[Lanes, NDArray[np.bool_]]:
    """Shift amounts below the width, and which ones were not."""
    amount = _unsigned(dtype, b)
    over = np.asarray(amount >= dtype.bits)
    return np.where(over, np.full_like(amount, dtype.bits - 1), amount), over


def _shift_left(dtype: DType, a: Lanes, b: Lanes) -> Lanes:
    amount, over = _amount(dtype, b)
    return _zero_where(over, _unsigned(dtype, a) << amount).view(dtype.numpy)


def _shift_right_logical(dtype: DType, a: Lanes, b: Lanes) -> Lanes:
    amount, over = _amount(dtype, b)
    return _zero_where(over, _unsigned(dtype, a) >> amount).view(dtype.numpy)


def _shift_right_arithmetic(dtype: DType, a: Lanes, b: Lanes) -> Lanes:
    amount, _ = _amount(dtype, b)
    signed = np.ascontiguousarray(a).view(f"i{dtype.bytes}")
    return np.asarray(signed >> amount.view(signed.dtype)).view(dtype.numpy)


def _zero_where(condition: NDArray[np.bool_], x: Lanes) -> Lanes:
    return np.where(condition, np.zeros_like(x), x)


# Functions that are computed in f64 whatever the dtype.
_TRANSCENDENTAL: dict[str, Callable[[Lanes], Lanes]] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "cbrt": np.cbrt, "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x), "logistic": _logistic, "erf": _erf,
}  # fmt: skip

_UNARY: dict[str, Callable[[Lanes], Lanes]] = {
    "neg": np.negative, "not": np.invert, "abs": np.abs, "floor": np.floor, "ceil": np.ceil,
    "trunc": np.trunc, "round_even": np.rint, "is_finite": np.isfinite, "is_nan": np.isnan,
}  # fmt: skip
_UNARY_BY_DTYPE: dict[str, Callable[[DType, Lanes], Lanes]] = {
    "sign": _sign,
    "round_away": _round_away,
    "popcount": _popcount,
    "count_leading_zeros": _count_leading_zeros,
}
_BINARY: dict[str, Callable[[Lanes, Lanes], Lanes]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "min": np.minimum, "max": np.maximum,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "floordiv": np.floor_divide, "mod": np.mod, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_BINARY_BY_DTYPE: dict[str, Callable[[DType, Lanes, Lanes], Lanes]] = {
    "div": _divide,
    "rem": _remainder,
    "pow": _integer_power,
    "shl": _shift_left,
    "shr_arithmetic": _shift_right_arithmetic,
    "shr_logical": _shift_right_logical,
}
