"""Logarithm, sine and cosine of f32 as the GNU C library 2.28 to 2.42 rounds them.

TensorFlow's normal numbers are made by the C library's logf and sincosf, which are not correctly
rounded (errors up to 0.82 and 0.56 ulp), so that equal bits ask for the same arithmetic: f64 inside,
rounded once at the end.  With f64 inside it does not matter whether products and sums are fused: all
2**23 arguments of each function that a random number can be give the C library's bits.
Method: P. T. P. Tang, Table-driven implementation of the logarithm function in IEEE floating-point
arithmetic, 1990; table and polynomials as ARM's optimized routines choose them.
"""

from __future__ import annotations

import math

from tensorkiln.compiler.ir.dtypes import F32, F64, I32, U32, U64
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.tables import exact_log, look_up

_LN2 = math.log(2.0)
# 1/c for a number c near the middle of each sixteenth of an octave that begins at 0.69921875.
_INVERSES = (
    1.398907162146528, 1.3403141896637998, 1.286432210124115, 1.2367150214269895,
    1.1906977166711752, 1.1479821020556429, 1.1082251448272158, 1.0711297413057381,
    1.036437278977283, 1.0, 0.9492859795739057, 0.8951049428609004,
    0.8476821620351103, 0.8050314851692001, 0.7664671008843108, 0.731428603316328,
)  # fmt: skip
_LOGS = tuple(-exact_log(inverse) for inverse in _INVERSES)
_SUBINTERVALS = 0x3F330000  # bits of the f32 at which they begin
# log(1 + r) = r + r^2 P(r)
_LOG = (-0.4999997485802103, 0.333456765744066, -0.25089342214237154)
_QUARTER_TURNS, _QUARTER = 2 / math.pi, math.pi / 2
_ROUNDER = 1.5 * 2.0**52  # added, it leaves a whole number in the low bits
# sin r = r + r^3 S(r^2) and cos r = C(r^2) for |r| <= pi/4
_SINE = (-0.16666654943701084, 0.008332178146138854, -0.00019517298981385725)
_COSINE = (
    1.0, -0.49999999725108224, 0.041666623324344516, -0.001388676379437604,
    2.4390450703564542e-05,
)  # fmt: skip


def log(x: Formula) -> Formula:
    """The natural logarithm of positive, finite, normal f32 numbers."""
    bits = x.apply("bitcast_convert", dtype=U32)
    offset = bits - _SUBINTERVALS
    number = offset.join("shift_right_logical", 19).join("and", 15)
    exponent = offset.apply("bitcast_convert", dtype=I32).join("shift_right_arithmetic", 23)
    reduced = bits - offset.join("and", 0xFF800000)
    inverse, log_of_c = (look_up(table, number) for table in (_INVERSES, _LOGS))
    z = reduced.apply("bitcast_convert", dtype=F32).convert(F64)
    r = z * inverse - 1.0
    square = r * r
    high = (log_of_c + exponent.convert(F64) * _LN2) + r
    series = _LOG[2] * square + (_LOG[1] * r + _LOG[0])
    return (series * square + high).convert(F32)


def sine_and_cosine(x: Formula) -> tuple[Formula, Formula]:
    """Sine and cosine of f32 numbers from 0 to 120."""
    wide = x.convert(F64)
    shifted = wide * _QUARTER_TURNS + _ROUNDER
    r = wide - (shifted - _ROUNDER) * _QUARTER
    square = r * r
    fourth = square * square
    cube = r * square
    sine = (r + cube * _SINE[0]) + (cube * square) * (_SINE[1] + square * _SINE[2])
    low = (_COSINE[0] + square * _COSINE[1]) + fourth * _COSINE[2]
    cosine = low + (fourth * square) * (_COSINE[3] + square * _COSINE[4])
    turns = shifted.apply("bitcast_convert", dtype=U64).convert(U32)
    return in_quadrants(sine.convert(F32), cosine.convert(F32), turns)


def in_quadrants(sine: Formula, cosine: Formula, turns: Formula) -> tuple[Formula, Formula]:
    """Sine and cosine `turns` quarter turns on; turns are unsigned, as wide, and count modulo 4."""
    odd = turns.join("and", 1).compare("NE", 0)
    return (
        _flipped(odd.select(cosine, sine), turns),
        _flipped(odd.select(sine, cosine), turns + 1),
    )


def _flipped(x: Formula, turns: Formula) -> Formula:
    """-x where bit 1 of `turns` is set."""
    kind, bits = x.value.dtype, turns.value.dtype
    sign = turns.join("shift_left", bits.bits - 2).join("and", 1 << (bits.bits - 1))
    flipped = x.apply("bitcast_convert", dtype=bits).join("xor", sign)
    return flipped.apply("bitcast_convert", dtype=kind)
