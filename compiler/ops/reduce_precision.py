"""The op reduce_precision: floats rounded to fewer bits of exponent and mantissa.

Name and meaning are StableHLO's: the value is rounded to the mantissa, ties to even; what is then
too large for the exponent is infinite, what is too small is a zero of its sign.  NaN stays NaN.
Bits are handled in the float's own format, as its unsigned integer u:

    u + (1 << (s - 1)) - 1 + ((u >> s) & 1)     rounds off s bits; a carry goes into the exponent
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import BF16, F16, F32, F64, U16, U32, U64, DType
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Bitcast, Const, Expr, Index, Select
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect, require
from tensorkiln.compiler.ops.elementwise import cost
from tensorkiln.compiler.ops.record import Element, ElementContext, OpRecord, Types

# Bits of exponent and mantissa, and the unsigned integer of the same width.
_FORMATS: dict[DType, tuple[int, int, DType]] = {
    F16: (5, 10, U16), BF16: (8, 7, U16), F32: (8, 23, U32), F64: (11, 52, U64),
}  # fmt: skip
_FLOPS = 10


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the operand holds floats of 16 bits or more.  C2: exponent_bits is 1 or more.  C3:
    mantissa_bits is 0 or more."""
    (x,) = expect(types, 1)
    require(x.dtype in _FORMATS, f"C1: the operand {x} does not hold floats")
    exponent, mantissa = attributes["exponent_bits"], attributes["mantissa_bits"]
    assert isinstance(exponent, int)
    assert isinstance(mantissa, int)
    require(exponent >= 1, f"C2: an exponent of {exponent} bits")
    require(mantissa >= 0, f"C3: a mantissa of {mantissa} bits")
    return (x,)


def _limits(op: Op) -> tuple[int, int, int, int, int]:
    """Bits to round off; as bits of the magnitude: the mask of what stays, the smallest normal
    number, the greatest finite number, and infinity."""
    exponent, mantissa, _ = _FORMATS[op.result.dtype]
    dropped = max(0, mantissa - op.integer("mantissa_bits"))
    kept = ~((1 << dropped) - 1) & ((1 << (exponent + mantissa)) - 1)
    infinity = ((1 << exponent) - 1) << mantissa
    bits = op.integer("exponent_bits")
    if bits >= exponent:
        return dropped, kept, 0, infinity, infinity
    bias, narrow = (1 << (exponent - 1)) - 1, (1 << (bits - 1)) - 1
    smallest = (bias - narrow + 1) << mantissa
    greatest = ((bias + narrow) << mantissa) | (((1 << mantissa) - 1) & kept)
    return dropped, kept, smallest, greatest, infinity


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    x = np.ascontiguousarray(arrays[0]).reshape(op.result.shape)
    word = _FORMATS[op.result.dtype][2].numpy
    dropped, kept, smallest, greatest, infinity = (word.type(n) for n in _limits(op))
    one = word.type(1)
    bits = x.view(word)
    top = one << word.type(8 * word.itemsize - 1)
    sign, size = bits & top, bits & ~top
    rounded = size
    if dropped:
        odd = (size >> dropped) & one
        rounded = (size + (one << (dropped - one)) - one + odd) & kept
    rounded = np.where(rounded > greatest, infinity, rounded)
    rounded = np.where(rounded < smallest, 0, rounded)
    found = (sign | rounded).astype(word).view(op.result.dtype.numpy)
    return [np.where(size > infinity, x, found)]


def _element(context: ElementContext, op: Op, index: Index) -> Expr:
    x = context.read(op.operands[0], index)
    word = _FORMATS[op.result.dtype][2]
    dropped, kept, smallest, greatest, infinity = _limits(op)

    def number(value: int) -> Const:
        return Const(value, word)

    def both(name: str, left: Expr, right: Expr) -> Expr:
        return context.let(Binary(name, left, right))

    bits = context.let(Bitcast(x, word))
    top = 1 << (word.bits - 1)
    sign, size = both("and", bits, number(top)), both("and", bits, number(top - 1))
    rounded = size
    if dropped:
        shifted = Binary("shr_logical", size, number(dropped))
        up = Binary("add", Binary("and", shifted, number(1)), number((1 << (dropped - 1)) - 1))
        rounded = both("and", Binary("add", size, up), number(kept))
    over = Binary("gt", rounded, number(greatest))
    rounded = context.let(Select(over, number(infinity), rounded))
    under = Binary("lt", rounded, number(smallest))
    rounded = context.let(Select(under, number(0), rounded))
    found = Bitcast(context.let(Binary("or", sign, rounded)), op.result.dtype)
    return context.let(Select(Binary("gt", size, number(infinity)), x, found))


def _gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    """The cotangent rounded likewise, as XLA's transformations of it do."""
    (g,) = cotangents
    return [None if g is None else builder.one("reduce_precision", (g,), **op.attributes)]


RECORDS = (
    OpRecord(
        "reduce_precision", {"exponent_bits": "int", "mantissa_bits": "int"}, _types, _evaluate,
        _gradient, Element(_element), cost(_FLOPS),
    ),
)  # fmt: skip
