"""cbrt: a polynomial on [1, 2), a cube root of two, one Halley step."""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.math.builder import (
    LetBuilder,
    bits_dtype,
    constant,
    exponent_bias,
    mantissa_bits,
)  # fmt: skip

# cbrt(m) = P(m) for m in [1, 2); relative error 2^-13.7 and 2^-22.5
_CBRT = {
    F32: (0.5528233647346497, 0.5871136784553528, -0.16296875476837158, 0.023104656487703323),
    F64: (
        0.44714000800858744, 0.950104974184451, -0.6661878618369119, 0.3853731424750038,
        -0.1444758261355299, 0.030905518784044444, -0.002859784335684702,
    ),
}  # fmt: skip
_CBRT_2 = 1.2599210498948732
_CBRT_4 = 1.5874010519681996
_SMALLEST_NORMAL = {F32: 2.0**-126, F64: 2.0**-1022}
_UPSCALE = {F32: 24, F64: 54}  # powers of two, multiples of three


def cbrt(b: LetBuilder, x: Expr) -> Expr:
    """The real cube root: |x| = m 2**(3k+j), root = 2**k y with y**3 = m 2**j in [1, 8)."""
    dtype = x.dtype
    width, bias = mantissa_bits(dtype), exponent_bias(dtype)
    size = b.magnitude(x)
    is_subnormal = b.binary("lt", size, _SMALLEST_NORMAL[dtype])
    bits = b.bits(b.select(is_subnormal, b.mul(size, 2.0 ** _UPSCALE[dtype]), size))
    field = b.binary("shr_logical", bits, width)
    # (field + shift) is 3 (k + offset) + j; n * 43691 >> 17 is n // 3 for n < 98304
    shift = -bias % 3
    biased = b.binary("add", field, shift)
    third = b.binary("shr_logical", b.binary("mul", biased, 43691), 17)
    j = b.binary("sub", biased, b.binary("mul", third, 3))
    mantissa = b.binary("and", bits, (1 << width) - 1)
    m = b.from_bits(b.binary("or", mantissa, bias << width), dtype)
    power = b.from_bits(
        b.binary("or", mantissa, b.binary("shl", b.binary("add", j, bias), width)), dtype
    )
    factor = b.select(b.binary("eq", j, 1), constant(_CBRT_2, dtype), 1.0)
    factor = b.select(b.binary("eq", j, 2), _CBRT_4, factor)
    y = b.mul(b.polynomial(m, _CBRT[dtype]), factor)
    # Halley: y + y (a - y^3) / (2 y^3 + a)
    cube = b.mul(b.mul(y, y), y)
    ratio = b.div(b.sub(power, cube), b.fma(cube, 2.0, power))
    y = b.fma(y, ratio, y)
    near = bias - (bias + shift) // 3
    far = near - _UPSCALE[dtype] // 3
    down = b.select(is_subnormal, constant(far, bits_dtype(dtype)), near)
    scale = b.from_bits(b.binary("shl", b.binary("add", third, down), width), dtype)
    root = b.with_sign_of(b.mul(y, scale), x)
    is_plain = b.binary("and", b.binary("gt", size, 0.0), b.binary("lt", size, math.inf))
    return b.select(is_plain, root, x)
