"""Samples of the dtypes that are stored only: 8-bit floats, integers of 2 and 4 bits."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
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
    F16,
    F32,
    F64,
    I2,
    I4,
    I8,
    I32,
    I64,
    U2,
    U4,
    U8,
    U16,
    U64,
    DType,
    dtype_of,
)

Array: TypeAlias = NDArray[Any]
# Significand bits, exponent of 1.0, largest number, whether there is an infinity, whether -0.
FLOAT8 = {
    F8E4M3FN: (3, 7, 448.0, False, True),
    F8E5M2: (2, 15, 57344.0, True, True),
    F8E4M3FNUZ: (3, 8, 240.0, False, False),
    F8E5M2FNUZ: (2, 16, 57344.0, False, False),
    F4E2M1FN: (1, 1, 6.0, False, True),
}
MORE = {
    F6E2M3FN: (3, 1, 7.5, False, True),
    F6E3M2FN: (2, 3, 28.0, False, True),
    F8E4M3: (3, 7, 240.0, True, True),
    F8E3M4: (4, 3, 15.5, True, True),
    F8E4M3B11FNUZ: (3, 11, 30.0, False, False),
}
WITHOUT_NAN = (F4E2M1FN, F6E2M3FN, F6E3M2FN)
TINY = (I2, U2, I4, U4)
STORED = (*FLOAT8, *TINY)
OTHERS = (*MORE, F8E8M0FNU)


def decoded(code: int, dtype: DType) -> float:
    """The number that a code of an 8-bit float stands for."""
    if dtype == F8E8M0FNU:
        return math.nan if code == 255 else math.ldexp(1.0, code - 127)
    mantissa, bias, largest, infinite, negative_zero = (FLOAT8 | MORE)[dtype]
    sign = 1 << (dtype.bits - 1)
    exponent, fraction = (code & (sign - 1)) >> mantissa, code & ((1 << mantissa) - 1)
    if exponent:
        size = math.ldexp(1 + fraction / (1 << mantissa), exponent - bias)
    else:
        size = math.ldexp(fraction / (1 << mantissa), 1 - bias)
    if not negative_zero and code == 0x80:
        return math.nan
    if size > largest:
        size = math.inf if infinite and not fraction else math.nan
    return math.copysign(size, -1 if code & sign else 1)


def rounded(x: float, dtype: DType) -> float:
    """The nearest number of the format, ties to the even one."""
    if dtype == F8E8M0FNU:
        return _power_of_two(x)
    mantissa, bias, largest, infinite, negative_zero = (FLOAT8 | MORE)[dtype]
    if math.isnan(x):
        return 0.0 if dtype in WITHOUT_NAN else x
    if dtype in WITHOUT_NAN:
        x = min(max(x, -largest), largest)
    if math.isinf(x):
        return x if infinite else math.copysign(math.nan, x)
    exponent = max(math.frexp(x)[1] - 1, 1 - bias)
    unit = math.ldexp(1.0, exponent - mantissa)
    near = math.copysign(round(abs(x) / unit) * unit, x)
    if abs(near) > largest:
        return math.copysign(math.inf if infinite else math.nan, x)
    return near if near or negative_zero else 0.0


def _power_of_two(x: float) -> float:
    """The nearest power of two from 2^-127, the greater one of two as near."""
    if not 0 < x < math.inf:
        return math.nan
    fraction, exponent = math.frexp(x)
    near = max(exponent - 1 + (fraction >= 0.75), -127)
    return math.nan if near > 127 else math.ldexp(1.0, near)


def whole(x: float, dtype: DType) -> int:
    """A float as an integer: truncated, saturating, 0 for NaN."""
    low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    high = low + (1 << dtype.bits) - 1
    if math.isnan(x):
        return 0
    return low if x < low else high if x > high else int(x)


def wrapped(x: int, dtype: DType) -> int:
    """An integer modulo 2 to the number of bits."""
    rest = x % (1 << dtype.bits)
    negative = dtype.kind == "int" and rest >> (dtype.bits - 1)
    return rest - (1 << dtype.bits) if negative else rest


def converted(item: Any, target: DType) -> Any:
    """One element in another dtype."""
    if target == BOOL:
        return item != 0
    if target in FLOAT8 or target in MORE or target == F8E8M0FNU:
        return rounded(float(item), target)
    if target.is_float:
        return float(item)
    return whole(item, target) if isinstance(item, float) else wrapped(int(item), target)


def codes(dtype: DType) -> Array:
    """Every value of a dtype that is stored only."""
    count = 1 << dtype.bits
    return np.arange(count, dtype=np.uint8).view(dtype.numpy)


def _edges(dtype: DType) -> Array:
    """Numbers at which roundings to 8 bits change, and such as are too large or too small."""
    if dtype == BOOL:
        return np.array([False, True])
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy.str)
        near = [0, 1, 7, 8, 9, 15, 16, 17, 18, 19, 100, 120, 240, 248, 255]
        many = [n for k in near for n in (k, -k) if info.min <= n <= info.max]
        return np.array([*many, info.min, info.max], dtype.numpy)
    sizes = [0.0, 1.0, 7.5, 8.5, 239, 247.9, 248, 249, 448, 463.9, 464, 465, 480, 5e4, 6.1439e4,
             6.144e4, 6.2e4, 1e5, 1e30, math.inf, math.nan]  # fmt: skip
    for bits in range(16, 28):  # halfway between neighbours, and a little beside
        unit = math.ldexp(1.0, bits - 34)
        sizes += [unit * k * (1 + d) for k in (0.5, 1.0, 1.5, 2.5, 3.5) for d in (-1e-3, 0, 1e-3)]
    with np.errstate(over="ignore"):
        return np.array([s * x for x in sizes for s in (1, -1)]).astype(dtype.numpy)


def _python(x: Array) -> list[Any]:
    kind = x.dtype
    if kind.kind in "biu":
        return list(x.tolist())
    integer = kind in [dtype.numpy for dtype in TINY]
    return [int(v) if integer else float(v) for v in x.ravel()]


def _convert(x: Array, target: DType) -> Sample:
    def expected(x: Array) -> Array:
        values = [converted(item, target) for item in _python(x)]
        return np.array(values).astype(target.numpy)

    return Sample(
        "convert", (x,), expected, {"dtype": target}, label=f"to_{target}", raw=True,
        differentiate=(), exact=target in FLOAT8 and dtype_of(x.dtype) not in FLOAT8,
    )  # fmt: skip


def _decode(dtype: DType) -> Sample:
    def expected(x: Array) -> Array:
        return np.array([decoded(code, dtype) for code in x.view(np.uint8).tolist()])

    return Sample(
        "convert", (codes(dtype),), expected, {"dtype": F64}, label="decode", raw=True,
        differentiate=(),
    )  # fmt: skip


def _moved(dtype: DType) -> Sample:
    x = np.resize(codes(dtype), (3, 4))
    attributes = {"permutation": (1, 0)}
    return Sample("transpose", (x,), lambda x: x.T, attributes, raw=True, exact=True)


SAMPLES = (
    *(_decode(dtype) for dtype in FLOAT8),
    *(_convert(codes(source), target)
      for source in STORED for target in (F32, F16, BF16, BOOL, I8, U8, I64, *STORED)),
    *(_convert(_edges(source), target)
      for source in (F32, F64, F16, BF16, BOOL, I8, U8, U16, I32, I64, U64) for target in STORED),
    *(_moved(dtype) for dtype in STORED),
    *(_decode(dtype) for dtype in OTHERS),
    *(_convert(codes(source), target) for source in OTHERS for target in (F32, BF16, I8)),
    *(_convert(_edges(source), target) for source in (F32, F64, I32, BOOL) for target in OTHERS),
    *(_moved(dtype) for dtype in OTHERS),
)  # fmt: skip
