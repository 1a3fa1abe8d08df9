"""erf: an odd polynomial near zero, 1 - 2**P(|x|) elsewhere."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.kernel.math.builder import LetBuilder, exponent_bias
from tensorkiln.compiler.kernel.math.exp import power_of_two, round_to_steps
from tensorkiln.compiler.kernel.math.sigmoid import EXP2

_SPLIT = 0.875
_SATURATED = {F32: 3.93, F64: 5.93}  # erf rounds to 1 from here on
# erf(x) = x + x P(x^2) for |x| <= 0.875; relative error 2^-26.1 and 2^-54.0
_ERF = {
    F32: (
        0.12837915122509003, -0.3761253356933594, 0.11282330751419067, -0.026787735521793365,
        0.005027309991419315, -0.0006180114578455687,
    ),
    F64: (
        0.12837916709551256, -0.3761263890318298, 0.11283791670915495, -0.026866170637127408,
        0.005223977542299668, -0.0008548321970139143, 0.0001205514085302131,
        -1.4920937654576412e-05, 1.6387323860161962e-06, -1.5618931113096994e-07,
        1.0455897345233187e-08,
    ),
}  # fmt: skip
# log2(erfc(x)) = P(x) for x >= 0.875; error in erf 2^-29.0 and 2^-54.8
_LOG2_ERFC = {
    F32: (
        -0.00019248509488534182, -1.6272687911987305, -0.9186160564422607, -0.1505141705274582,
        0.0323462076485157, -0.004461401142179966, 0.0002899929531849921,
    ),
    F64: (
        -2.864655068244952e-07, -1.627903927590157, -0.9184637352617658, -0.14822169150729086,
        0.027495732525160434, 0.00045511841578121443, -0.002619350945144672,
        0.0009936261311306465, -0.00011924293651882135, -6.734140418972999e-05,
        4.805824257010885e-05, -1.721195662493631e-05, 4.2144308949935835e-06,
        -7.452171718706914e-07, 9.454036847223905e-08, -8.210753570687947e-09,
        4.3849283624722987e-10, -1.08739414841786e-11,
    ),
}  # fmt: skip


def erf(b: LetBuilder, x: Expr) -> Expr:
    """The error function for f32 and f64."""
    dtype = x.dtype
    square = b.mul(x, x)
    size = b.magnitude(x)
    small = b.fma(size, b.polynomial(square, _ERF[dtype]), size)
    logarithm = b.polynomial(b.at_most(size, _SATURATED[dtype]), _LOG2_ERFC[dtype])
    n, shifted = round_to_steps(b, logarithm, 1.0, exponent_bias(dtype))
    power = b.polynomial(b.sub(logarithm, n), EXP2[dtype])
    large = b.fma(b.negate(power), power_of_two(b, shifted), 1.0)
    return b.with_sign_of(b.select(b.binary("lt", size, _SPLIT), small, large), x)
