"""Bitwise logic, shifts and bit counts.

A shift by the width or more (a negative amount counts as such) gives 0, or the sign in every bit
for shift_right_arithmetic, which takes the top bit of unsigned integers for a sign too.
"""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.dtypes import DType, dtype_named, dtype_of
from tensorkiln.compiler.kernel.expr import Binary, Bitcast, Expr
from tensorkiln.compiler.ops.elementwise import INTEGRAL, Numbers, binary, unary
from tensorkiln.compiler.ops.rules import BITS, INTEGERS


def _signed(dtype: DType) -> DType:
    return dtype_named(f"i{dtype.bits}")


def _unsigned(dtype: DType) -> DType:
    return dtype_named(f"u{dtype.bits}")


def _amount(b: Numbers, limit: int) -> Numbers:
    """The shift amount as an unsigned number of at most `limit`."""
    return np.minimum(b.view(_unsigned(dtype_of(b.dtype)).numpy), limit)


def _numpy_shift_left(a: Numbers, b: Numbers) -> Numbers:
    bits = dtype_of(a.dtype).bits
    pattern = a.view(_unsigned(dtype_of(a.dtype)).numpy)
    shifted = np.left_shift(pattern, _amount(b, bits - 1))
    return np.where(_amount(b, bits) == bits, 0, shifted).astype(pattern.dtype).view(a.dtype)


def _numpy_shift_right_logical(a: Numbers, b: Numbers) -> Numbers:
    bits = dtype_of(a.dtype).bits
    pattern = a.view(_unsigned(dtype_of(a.dtype)).numpy)
    shifted = np.right_shift(pattern, _amount(b, bits - 1))
    return np.where(_amount(b, bits) == bits, 0, shifted).astype(pattern.dtype).view(a.dtype)


def _numpy_shift_right_arithmetic(a: Numbers, b: Numbers) -> Numbers:
    signed = _signed(dtype_of(a.dtype)).numpy
    amount = _amount(b, dtype_of(a.dtype).bits - 1).astype(signed)
    return np.asarray(np.right_shift(a.view(signed), amount)).view(a.dtype)


def _shift_right_arithmetic(a: Expr, b: Expr) -> Expr:
    if a.dtype.kind == "int":
        return Binary("shr_arithmetic", a, b)
    kind = _signed(a.dtype)
    return Bitcast(Binary("shr_arithmetic", Bitcast(a, kind), Bitcast(b, kind)), a.dtype)


def _numpy_popcnt(x: Numbers) -> Numbers:
    pattern = np.ascontiguousarray(x).reshape(*x.shape, 1).view(np.uint8)
    return np.asarray(np.unpackbits(pattern, axis=-1).sum(axis=-1))


def _numpy_count_leading_zeros(x: Numbers) -> Numbers:
    kind = _unsigned(dtype_of(x.dtype))
    pattern = x.view(kind.numpy)
    count = np.zeros(x.shape, np.int64)
    for bit in range(kind.bits):  # one more for each prefix that is still all zeros
        count += pattern >> kind.numpy.type(kind.bits - 1 - bit) == 0
    return count


RECORDS = (
    binary("and", "and", np.bitwise_and, INTEGRAL, BITS),
    binary("or", "or", np.bitwise_or, INTEGRAL, BITS),
    binary("xor", "xor", np.bitwise_xor, INTEGRAL, BITS),
    unary("not", "not", np.invert, INTEGRAL, BITS),
    binary("shift_left", "shl", _numpy_shift_left, INTEGRAL, INTEGERS),
    binary("shift_right_logical", "shr_logical", _numpy_shift_right_logical, INTEGRAL, INTEGERS),
    binary(
        "shift_right_arithmetic",
        _shift_right_arithmetic,
        _numpy_shift_right_arithmetic,
        INTEGRAL,
        INTEGERS,
    ),
    unary("popcnt", "popcount", _numpy_popcnt, INTEGRAL, INTEGERS),
    unary(
        "count_leading_zeros",
        "count_leading_zeros",
        _numpy_count_leading_zeros,
        INTEGRAL,
        INTEGERS,
    ),
)
