"""Integers of 4 bits, each in the lower half of a byte."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import I8, U8, DType
from tensorkiln.compiler.kernel.expr import Bitcast, Expr
from tensorkiln.compiler.kernel.math.builder import LetBuilder

_HALF = 4


def widen_integer(b: LetBuilder, x: Expr) -> Expr:
    """An i4 as i8, a u4 as u8; the upper half of its byte does not count."""
    if not x.dtype.is_signed:
        return b.binary("and", b.let(Bitcast(x, U8)), 0xF)
    raised = b.binary("shl", b.let(Bitcast(x, I8)), _HALF)
    return b.binary("shr_arithmetic", raised, _HALF)


def narrow_integer(b: LetBuilder, x: Expr, dtype: DType) -> Expr:
    """A number as i4 or u4: integers wrap, floats are truncated and saturate, NaN gives 0."""
    if x.dtype.is_float:
        low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
        x = b.at_least(b.at_most(x, float(low + (1 << dtype.bits) - 1)), float(low))
        x = b.convert(x, I8)
    byte = b.convert(x, U8)
    return b.let(Bitcast(b.binary("and", byte, 0xF), dtype))
