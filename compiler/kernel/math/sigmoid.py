"""tanh and logistic, from the exponential of a negative or bounded argument."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.math.builder import LetBuilder, exponent_bias
from tensorkiln.compiler.kernel.math.exp import exp_not_above_one, power_of_two, round_to_steps

# tanh(x) = x + x^3 P(x^2) for |x| <= 0.55; relative error 2^-29.7 and 2^-55.5
_TANH = {
    F32: (
        -0.33333316445350647, 0.13332556188106537, -0.053849637508392334, 0.021061940118670464,
        -0.006261736154556274,
    ),
    F64: (
        -0.3333333333333231, 0.13333333333168204, -0.053968253875828896, 0.021869485968763938,
        -0.00886319442211001, 0.0035917190280733233, -0.001453213402390584,
        0.0005791269257263232, -0.000210285686076031, 5.1009765220119765e-05,
    ),
}  # fmt: skip
# 2^f = P(f) for |f| <= 1/2; relative error 2^-28.2 and 2^-54.7
EXP2 = {
    F32: (
        1.0, 0.6931471824645996, 0.24022646248340607, 0.055503588169813156, 0.009618666023015976,
        0.0013391308020800352, 0.00015285580593626946,
    ),
    F64: (
        1.0, 0.6931471805599453, 0.24022650695910155, 0.05550410866481992, 0.009618129107588263,
        0.001333355814679054, 0.0001540353046260596, 1.525273348959025e-05,
        1.3215433043133223e-06, 1.0178198115498452e-07, 7.0741138317315765e-09,
        4.4352784947442924e-10,
    ),
}  # fmt: skip
_SATURATED = {F32: 9.25, F64: 19.25}  # tanh rounds to 1 from here on
_SPLIT = 0.55
_TWO_LOG2_E = 2.8853900817779268


def tanh(b: LetBuilder, x: Expr) -> Expr:
    """Hyperbolic tangent: an odd polynomial near zero, 1 - 2 / (e**(2|x|) + 1) elsewhere.

    Far from zero the error of the exponential is damped by e**-2|x|, so 2|x| log2(e) needs no
    second word.
    """
    dtype = x.dtype
    square = b.mul(x, x)
    size = b.magnitude(x)
    small = b.fma(b.mul(size, square), b.polynomial(square, _TANH[dtype]), size)
    clamped = b.at_most(size, _SATURATED[dtype])
    n, shifted = round_to_steps(b, clamped, _TWO_LOG2_E, exponent_bias(dtype))
    fraction = b.fma(clamped, _TWO_LOG2_E, b.negate(n))
    power = b.polynomial(fraction, EXP2[dtype])
    denominator = b.fma(power, power_of_two(b, shifted), 1.0)
    large = b.sub(1.0, b.div(2.0, denominator))
    return b.with_sign_of(b.select(b.binary("lt", size, _SPLIT), small, large), x)


def logistic(b: LetBuilder, x: Expr) -> Expr:
    """1 / (1 + e**-x), as e**x / (1 + e**x) below zero so that small results keep their digits."""
    power = exp_not_above_one(b, b.negate(b.magnitude(x)))
    numerator = b.select(b.binary("lt", x, 0.0), power, 1.0)
    return b.div(numerator, b.add(power, 1.0))
