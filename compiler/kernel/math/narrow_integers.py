"""Integers of 2 and 4 bits, each in the lowest bits of a byte."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import I8, U8, DType
from tensorkiln.compiler.kernel.expr import Bitcast, Expr
from tensorkiln.compiler.kernel.math.builder import LetBuilder


def widen_integer(b: LetBuilder, x: Expr) -> Expr:
    """A narrow integer as i8 or u8; the upper bits of its byte do not count."""
    if not x.dtype.is_signed:
        return b.binary("and", b.let(Bitcast(x, U8)), (1 << x.dtype.bits) - 1)
    unused = 8 - x.dtype.bits
    raised = b.binary("shl", b.let(Bitcast(x, I8)), unused)
    return b.binary("shr_arithmetic", raised, unused)


def narrow_integer(b: LetBuilder, x: Expr, dtype: DType) -> Expr:
    """A number as a narrow integer: integers wrap, floats are truncated and saturate, NaN gives 0."""
    if x.dtype.is_float:
        low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
        x = b.at_least(b.at_most(x, float(low + (1 << dtype.bits) - 1)), float(low))
        x = b.convert(x, I8)
    byte = b.convert(x, U8)
    return b.let(Bitcast(b.binary("and", byte, (1 << dtype.bits) - 1), dtype))
