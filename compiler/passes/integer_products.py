"""Products of centred bytes as products of the bytes themselves, with a constant correction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.dtypes import I8, I32, U8
from tensorkiln.compiler.ir.function import Array, Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.checks import op_pairs
from tensorkiln.compiler.ops.integer_products import BYTES
from tensorkiln.compiler.passes.known import known
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, rewrite

_OFFSET = 128  # between a number's byte read as u8 and as i8


def integer_products(function: Function) -> Function:
    """Sums products of bytes where i32 products of widened bytes are asked for.

        %1 = convert(%x) {dtype = i32}                        (%x is u8, %w a constant within i8)
        %2 = subtract(%1, %z)
        %3 = convolution(%2, %w) {padding = ((1, 1)), ...}

            ->    %4 = pad(%x, %z8) {low = (0, 0, 1), high = (0, 0, 1), ...}
                  %5 = integer_convolution(%4, %w8) {padding = ((0, 0)), ...}
                  %3 = subtract(%5, %z * sum(%w))

    The zero point %z is one number, known or not; without one there is no correction.  An i8
    operand becomes u8 by adding 128 to it and to its zero point.  Exact: sums modulo 2**32 stay
    what they are.  Left as they are: products of batches, depthwise convolutions (their kernels
    read vectors of channels), weights that are unknown or no i8, and padding with a zero point
    that is no byte.
    """
    return rewrite(function, {"dot_general": (_dot,), "convolution": (_convolution,)})


@dataclass(frozen=True, slots=True)
class _Centred:
    """`x - zero` in i32, where `x` is u8 and `zero` a scalar; `byte` is the zero point as u8."""

    x: Value
    zero: Value | None
    byte: Value | None


def _dot(rewriter: Rewriter, op: Op) -> Replacement:
    if op.result.dtype is not I32 or op.ints("lhs_batch"):
        return None
    weights = _weights(rewriter, op.operands[1])
    left = None if weights is None else _centred(rewriter, op.operands[0])
    if weights is None or left is None:
        return None
    total = rewriter.one("integer_dot", (left.x, rewriter.constant(weights)), **op.attributes)
    sums = weights.sum(op.ints("rhs_contracting"), np.int32)
    rank = op.result.type.rank
    return _corrected(rewriter, total, left, sums, range(rank - sums.ndim, rank))


def _convolution(rewriter: Rewriter, op: Op) -> Replacement:
    out, inputs, *window = op.ints("rhs_spec")
    if op.result.dtype is not I32 or op.integer("batch_groups") != 1:
        return None
    if op.integer("feature_groups") > 1 and op.operands[1].shape[inputs] == 1:
        return None
    weights = _weights(rewriter, op.operands[1])
    left = None if weights is None else _centred(rewriter, op.operands[0])
    if weights is None or left is None:
        return None
    padding, holes = op_pairs(op, "padding"), op.ints("lhs_dilation")
    x, rank = left.x, op.result.type.rank
    if any(low or high for low, high in padding) or any(size > 1 for size in holes):
        if left.byte is None:
            return None
        low, high, interior = ([0] * rank for _ in range(3))
        for axis, ends, hole in zip(op.ints("lhs_spec")[2:], padding, holes, strict=True):
            (low[axis], high[axis]), interior[axis] = ends, hole - 1
        x = shorthand.pad(rewriter, x, low, high, interior, left.byte)
    flipped = tuple(d for d, flip in zip(window, op.ints("reversal"), strict=True) if flip)
    weights = np.ascontiguousarray(np.flip(weights, flipped))
    ones = (1,) * len(window)
    attributes = {
        **op.attributes, "padding": ((0, 0),) * len(window), "lhs_dilation": ones,
        "reversal": (0,) * len(window),
    }  # fmt: skip
    total = rewriter.one("integer_convolution", (x, rewriter.constant(weights)), **attributes)
    sums = weights.sum(tuple(d for d in range(rank) if d != out), np.int32)
    return _corrected(rewriter, total, left, sums, (op.ints("out_spec")[1],))


def _weights(rewriter: Rewriter, value: Value) -> Array | None:
    """The constant `value` as i8, if it is one of such numbers."""
    widened = rewriter.producer(value, "convert")
    if widened is not None and widened.operands[0].dtype is I8:
        value = widened.operands[0]
    array = known(rewriter, value)
    if array is None or not array.size or array.min() < -_OFFSET or array.max() >= _OFFSET:
        return None
    return array.astype(np.int8, copy=False)


def _centred(rewriter: Rewriter, value: Value) -> _Centred | None:
    """What `value` is the difference of, if it is a widened byte, perhaps less a scalar."""
    op = rewriter.producer(value)
    if op is None or op.name not in ("convert", "subtract", "add"):
        return None
    zero: Value | None = None
    if op.name != "convert":
        widened, shift = op.operands
        zero = _scalar(rewriter, shift)
        if zero is None:
            return None
        if op.name == "add":
            zero = rewriter.one("negate", (zero,))
        inner = rewriter.producer(widened, "convert")
        if inner is None:
            return None
        op = inner
    (x,) = op.operands
    if x.dtype not in BYTES:
        return None
    if x.dtype is U8:
        return _Centred(x, zero, _byte(rewriter, zero))
    bits = rewriter.one("bitcast_convert", (x,), dtype=U8)
    offset = shorthand.scalar(rewriter, _OFFSET, U8)
    moved = shorthand.binary(rewriter, "xor", bits, offset)
    offset = shorthand.scalar(rewriter, _OFFSET, I32)
    zero = offset if zero is None else rewriter.one("add", (zero, offset))
    return _Centred(moved, zero, _byte(rewriter, zero))


def _scalar(rewriter: Rewriter, value: Value) -> Value | None:
    """The number that `value` repeats, as a scalar."""
    if value.type.rank == 0:
        return value
    op = rewriter.producer(value, "broadcast_in_dim")
    if op is not None and op.operands[0].type.elements == 1:
        return shorthand.reshape(rewriter, op.operands[0], ())
    array = rewriter.literal(value)
    if array is None or not array.size or (array != array.flat[0]).any():
        return None
    return rewriter.constant(array.reshape(-1)[0].reshape(()))


def _byte(rewriter: Rewriter, zero: Value | None) -> Value | None:
    """The zero point as u8, None if it may be no byte."""
    if zero is None:
        return shorthand.scalar(rewriter, 0, U8)
    array = known(rewriter, zero)
    if array is not None:
        fits = 0 <= int(array) < 2 * _OFFSET
        return rewriter.constant(array.astype(np.uint8)) if fits else None
    return shorthand.convert(rewriter, zero, U8) if _is_byte(rewriter, zero) else None


def _is_byte(rewriter: Rewriter, zero: Value) -> bool:
    """True for a widened u8, and for a widened i8 to which 128 was added."""
    op = rewriter.producer(zero)
    while op is not None and op.name in ("reshape", "broadcast_in_dim"):
        op = rewriter.producer(op.operands[0])
    if op is None:
        return False
    if op.name == "convert":
        return op.operands[0].dtype is U8
    if op.name != "add" or known(rewriter, op.operands[1]) != np.int32(_OFFSET):
        return False
    inner = rewriter.producer(op.operands[0], "convert")
    return inner is not None and inner.operands[0].dtype in BYTES and inner.operands[0].dtype != U8


def _corrected(
    rewriter: Rewriter, total: Value, left: _Centred, sums: Array, dims: range | tuple[int, ...]
) -> Value:
    """`total` less the zero point times the sums of the weights, which lie along `dims`."""
    if left.zero is None:
        return total
    zero = known(rewriter, left.zero)
    if zero is not None:
        with np.errstate(over="ignore"):
            shift = rewriter.constant(np.multiply(sums, -zero.astype(np.int32)))
        return rewriter.one("add", (total, _along(rewriter, shift, total, dims)))
    weights = rewriter.constant(sums)
    factor = shorthand.broadcast_to(rewriter, left.zero, sums.shape)
    shift = rewriter.one("multiply", (weights, factor))
    return rewriter.one("subtract", (total, _along(rewriter, shift, total, dims)))


def _along(rewriter: Rewriter, shift: Value, total: Value, dims: range | tuple[int, ...]) -> Value:
    return shorthand.broadcast_in_dim(rewriter, shift, total.type.shape, tuple(dims))
