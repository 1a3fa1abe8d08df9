"""atan2: the arc tangent of the smaller over the larger magnitude, then the octant."""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.math.builder import LetBuilder, constant

# atan(t) = t + t^3 P(t^2): for |t| <= 1 with relative error 2^-28.5, for |t| <= tan(pi/8) 2^-57.4
_ATAN_F32 = (
    -0.33333298563957214, 0.1999853551387787, -0.14264126121997833, 0.10951654613018036,
    -0.08402055501937866, 0.05793575942516327, -0.031157683581113815, 0.010904465802013874,
    -0.001791479648090899,
)  # fmt: skip
_ATAN_F64 = (
    -0.333333333333332, 0.1999999999995325, -0.1428571428016695, 0.11111110782177677,
    -0.09090897725969828, 0.07692059730852586, -0.06663099358572601, 0.05847860387027544,
    -0.05039195292143072, 0.038062257993436675, -0.01790516154975345,
)  # fmt: skip
_PI = {F32: (3.1415927410125732, -8.742277657347586e-08), F64: (math.pi, 1.2246467991473532e-16)}
_TAN_EIGHTH = 0.41421356237309503
_HUGE = 2.0**1000


def atan2(b: LetBuilder, y: Expr, x: Expr) -> Expr:
    """The angle of the point (x, y) in [-pi, pi], with the signed zeros and infinities of C99 F.9.1.4."""
    dtype = x.dtype
    rise, run = b.magnitude(y), b.magnitude(x)
    is_steep = b.binary("gt", rise, run)
    small, large = b.select(is_steep, run, rise), b.select(is_steep, rise, run)
    atan = _atan_of_ratio_f32 if dtype == F32 else _atan_of_ratio_f64
    angle = atan(b, small, b.select(b.binary("eq", large, 0.0), 1.0, large))
    high, low = _PI[dtype]
    steep = b.add(b.sub(high / 2, angle), low / 2)
    angle = b.select(is_steep, steep, angle)
    # The sign bit of x, not x < 0: the angle of (-0, 0) is pi.
    is_left = b.binary("lt", b.with_sign_of(constant(1.0, dtype), x), 0.0)
    left = b.add(b.sub(high, angle), low)
    angle = b.with_sign_of(b.select(is_left, left, angle), y)
    total = b.add(rise, run)
    return b.select(b.unary("is_nan", total), total, angle)


def _atan_of_ratio_f32(b: LetBuilder, small: Expr, large: Expr) -> Expr:
    t = b.select(b.binary("eq", small, math.inf), 1.0, b.div(small, large))
    square = b.mul(t, t)
    return b.fma(b.mul(t, square), b.polynomial(square, _ATAN_F32), t)


def _atan_of_ratio_f64(b: LetBuilder, small: Expr, large: Expr) -> Expr:
    """Above tan(pi/8), atan(s/l) = pi/4 + atan((s - l) / (s + l))."""
    scale = b.select(b.binary("gt", large, _HUGE), constant(2.0**-2, F64), 1.0)
    small, large = b.mul(small, scale), b.mul(large, scale)
    is_far = b.binary("ge", small, b.mul(large, _TAN_EIGHTH))
    below = b.select(is_far, b.sub(small, large), small)
    above = b.select(is_far, b.add(small, large), large)
    t = b.select(b.binary("eq", small, math.inf), 0.0, b.div(below, above))
    square = b.mul(t, t)
    angle = b.fma(b.mul(t, square), b.polynomial(square, _ATAN_F64), t)
    high, low = _PI[F64]
    return b.select(is_far, b.add(b.add(angle, low / 4), high / 4), angle)
