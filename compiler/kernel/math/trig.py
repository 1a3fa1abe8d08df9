"""sin, cos and tan: one reduction, two polynomials, the quadrant chooses."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.math.angle import reduce_angle
from tensorkiln.compiler.kernel.math.builder import LetBuilder, sign_bit

# sin(r) = r + r^3 P(r^2) for |r| <= pi/4; relative error 2^-27.9 and 2^-56.4
_SIN = {
    F32: (-0.16666655242443085, 0.008332190103828907, -0.0001951844897121191),
    F64: (
        -0.1666666666666663, 0.008333333333322108, -0.00019841269829580347,
        2.7557313617953376e-06, -2.5050747195887644e-08, 1.589619590321078e-10,
    ),
}  # fmt: skip
# cos(r) = 1 - r^2/2 + r^4 P(r^2) for |r| <= pi/4; relative error 2^-33.0 and 2^-59.6
_COS = {
    F32: (1.0, -0.5, 0.04166664555668831, -0.0013887310633435845, 2.4432563805021346e-05),
    F64: (
        1.0, -0.5, 0.041666666666666595, -0.001388888888887304, 2.4801587288841594e-05,
        -2.75573141762952e-07, 2.0875700423311673e-09, -1.1358514299079857e-11,
    ),
}  # fmt: skip


def sin(b: LetBuilder, x: Expr) -> Expr:
    """Sine: the quadrant's function, negative in the lower half turn, odd in x."""
    sine, cosine, quadrant, is_odd = _parts(b, x)
    sign = b.binary("and", b.bits(x), sign_bit(x.dtype))
    flip = b.binary("xor", _half_turn_bit(b, quadrant, x), sign)
    return b.flip_sign(b.select(is_odd, cosine, sine), flip)


def cos(b: LetBuilder, x: Expr) -> Expr:
    """Cosine: sine one quadrant on, even in x."""
    sine, cosine, quadrant, is_odd = _parts(b, x)
    flip = _half_turn_bit(b, b.binary("add", quadrant, 1), x)
    return b.flip_sign(b.select(is_odd, sine, cosine), flip)


def tan(b: LetBuilder, x: Expr) -> Expr:
    """Tangent: sin/cos, or -cos/sin in odd quadrants."""
    sine, cosine, quadrant, is_odd = _parts(b, x)
    ratio = b.div(b.select(is_odd, cosine, sine), b.select(is_odd, sine, cosine))
    sign = b.binary("and", b.bits(x), sign_bit(x.dtype))
    odd_bit = b.binary("shl", quadrant, x.dtype.bits - 1)
    return b.flip_sign(ratio, b.binary("xor", odd_bit, sign))


def _parts(b: LetBuilder, x: Expr) -> tuple[Expr, Expr, Expr, Expr]:
    """sin(r), cos(r), the quadrant, and whether it is odd."""
    r, quadrant = reduce_angle(b, x)
    square = b.mul(r, r)
    sine = b.fma(b.mul(r, square), b.polynomial(square, _SIN[x.dtype]), r)
    cosine = b.polynomial(square, _COS[x.dtype])
    is_odd = b.binary("ne", b.binary("and", quadrant, 1), 0)
    return sine, cosine, quadrant, is_odd


def _half_turn_bit(b: LetBuilder, quadrant: Expr, x: Expr) -> Expr:
    """The sign bit, set in quadrants 2 and 3."""
    shifted = b.binary("shl", quadrant, x.dtype.bits - 2)
    return b.binary("and", shifted, sign_bit(x.dtype))
