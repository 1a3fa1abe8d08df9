"""The op fft: discrete Fourier transforms of any length along the last dims.

Name and meaning are StableHLO's: FFT, IFFT, RFFT and IRFFT over the last len(fft_length) dims; the
inverse ones divide by the number of points.  A transform becomes products with small matrices:

    n1 n2 points:  transform columns of n1, turn by w^(j2 k1), transform rows of n2
                   (Gentleman and Sande, Fast Fourier transforms for fun and profit, 1966)
    a large prime: a convolution with a chirp, by transforms of a power of two
                   (Bluestein, A linear filtering approach to the computation of the DFT, 1970)

Tables are made in f64.  A stack of signals is a real tensor [rows, parts, points], parts being 1
for real signals and 2 for complex ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import F32, F64, complex_of, part_of
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect, ints, require
from tensorkiln.compiler.ops.record import Cost, OpRecord, Structural, Types, bytes_moved
from tensorkiln.compiler.ops.shorthand import (
    binary,
    concat,
    dot_general,
    full_like,
    pad,
    reshape,
    reverse,
    scalar,
    slice_axis,
    squeeze,
    stack,
    transpose,
)

Cotangents = Sequence[Value | None]
Pair = tuple[Value, Value]
KINDS = ("FFT", "IFFT", "RFFT", "IRFFT")
_WIDEST = 32  # points of a transform that is one product with a matrix
_LARGEST_PRIME = 128  # beyond that a chirp is cheaper than a matrix


def fft(builder: Builder, x: Value, kind: str, lengths: Sequence[int]) -> Value:
    """The transform of kind FFT, IFFT, RFFT or IRFFT over the last dims, of the given lengths."""
    return builder.one("fft", (x,), fft_type=kind, fft_length=tuple(lengths))


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: fft_type is one of KINDS.  C2: the operand is f32 or f64 for RFFT, else complex.  C3:
    there is a length, 1 or more, for each of the last dims that are transformed, one of them at
    least.  C4: these dims have the lengths; the last one of the operand of IRFFT has n // 2 + 1."""
    (x,), kind, lengths = expect(types, 1), attributes["fft_type"], ints(attributes, "fft_length")
    require(kind in KINDS, f"C1: fft_type is {kind!r}, not one of {', '.join(KINDS)}")
    fits = x.dtype in (F32, F64) if kind == "RFFT" else x.dtype.is_complex
    require(fits, f"C2: {kind} does not take {x}")
    fits = 0 < len(lengths) <= x.rank and min(lengths) >= 1
    require(fits, f"C3: fft_length is {lengths} for {x}")
    half = (*lengths[:-1], lengths[-1] // 2 + 1)
    outer = x.shape[: x.rank - len(lengths)]
    wanted = half if kind == "IRFFT" else lengths
    fits = x.shape == (*outer, *wanted)
    require(fits, f"C4: {kind} of lengths {lengths} takes dims {wanted}, the operand is {x}")
    if kind == "RFFT":
        return (x.with_shape((*outer, *half)).with_dtype(complex_of(x.dtype)),)
    if kind == "IRFFT":
        return (x.with_shape((*outer, *lengths)).with_dtype(part_of(x.dtype)),)
    return (x,)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (x,), lengths = arrays, op.ints("fft_length")
    axes = range(x.ndim - len(lengths), x.ndim)
    function: Any = {
        "FFT": np.fft.fftn, "IFFT": np.fft.ifftn, "RFFT": np.fft.rfftn, "IRFFT": np.fft.irfftn,
    }[op.string("fft_type")]  # fmt: skip
    return [np.asarray(function(x, lengths, axes)).astype(op.result.dtype.numpy)]


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """The adjoint of each kind is, up to factors, its inverse; n is the number of points.

    FFT: n IFFT.  IFFT: FFT / n.  RFFT: the real part of n IFFT, with zeros for the bins that are
    not there.  IRFFT: RFFT / n, twice that for bins that stand for two.
    """
    (g,) = cotangents
    if g is None:
        return [None]
    kind, lengths = op.string("fft_type"), op.ints("fft_length")
    points, last = math.prod(lengths), lengths[-1]

    def scaled(x: Value, factor: float) -> Value:
        return builder.one("multiply", (x, full_like(builder, x, factor)))

    if kind == "FFT":
        return [scaled(fft(builder, g, "IFFT", lengths), points)]
    if kind == "IFFT":
        return [scaled(fft(builder, g, "FFT", lengths), 1 / points)]
    if kind == "RFFT":
        high = [0] * (g.type.rank - 1) + [last - g.shape[-1]]
        whole = pad(builder, g, [0] * g.type.rank, high)
        found = builder.one("real", (fft(builder, whole, "IFFT", lengths),))
        return [scaled(found, points)]
    found = fft(builder, g, "RFFT", lengths)
    twice = np.full(found.shape[-1], 2 / points, found.dtype.numpy)
    twice[0] = 1 / points
    if last % 2 == 0:
        twice[-1] = 1 / points
    return [binary(builder, "multiply", found, builder.constant(twice))]


def _cost(op: Op) -> Cost:
    """8 n operations for each point of each factor's matrix."""
    points = max(v.type.elements for v in (*op.operands, *op.results))
    factors = sum(sum(_factors(n)) for n in op.ints("fft_length"))
    return Cost(8 * points * factors, bytes_moved(op))


RECORDS = (
    OpRecord(
        "fft", {"fft_type": "str", "fft_length": "ints"}, _types, _evaluate, _gradient,
        Structural("split_complex"), _cost,
    ),
)  # fmt: skip


# In real ops


def fft_parts(
    builder: Builder, real: Value, imaginary: Value | None, kind: str, lengths: Sequence[int]
) -> Value | Pair:
    """The transform of signals with these parts: a pair of parts, or real signals (IRFFT)."""
    rank, last = real.type.rank, lengths[-1]
    first = rank - len(lengths)
    sign = 1 if kind in ("IFFT", "IRFFT") else -1
    both: tuple[Value, Value | None] = (real, imaginary)
    if kind == "RFFT":
        both = dft_along(builder, both, rank - 1, sign)
        real, imaginary = both
        assert imaginary is not None
        half = last // 2 + 1
        both = (
            slice_axis(builder, real, -1, 0, half),
            slice_axis(builder, imaginary, -1, 0, half),
        )
    for axis in range(first, rank - 1):
        both = dft_along(builder, both, axis, sign)
    if kind == "IRFFT":
        both = mirrored_spectrum(builder, both, last)
    if kind != "RFFT":
        both = dft_along(builder, both, rank - 1, sign)
    if sign == 1:
        scale = scalar(builder, 1 / math.prod(lengths), real.dtype)
        both = (
            binary(builder, "multiply", both[0], scale),
            None if both[1] is None else binary(builder, "multiply", both[1], scale),
        )
    real, imaginary = both
    if kind == "IRFFT":
        return real
    assert imaginary is not None
    return real, imaginary


def mirrored_spectrum(builder: Builder, both: tuple[Value, Value | None], length: int) -> Pair:
    """All bins of a real signal's spectrum: bin n - k is the conjugate of bin k."""
    real, imaginary = both
    assert imaginary is not None
    upper = (length + 1) // 2
    turned = [
        reverse(builder, slice_axis(builder, x, -1, 1, upper), (-1,)) for x in (real, imaginary)
    ]
    minus = builder.one("negate", (turned[1],))
    return concat(builder, (real, turned[0]), -1), concat(builder, (imaginary, minus), -1)


def dft_along(builder: Builder, both: tuple[Value, Value | None], axis: int, sign: int) -> Pair:
    """The transform of signals with these parts along one axis: w = exp(sign 2 pi i / n), and
    nothing is divided by n.  Without an imaginary part, signals are real."""
    real, imaginary = both
    rank, shape = real.type.rank, real.shape
    order = [k for k in range(rank) if k != axis] + [axis]
    moved = [transpose(builder, x, order) for x in (real, imaginary) if x is not None]
    length = shape[axis]
    rows = math.prod(shape) // length if length else 0
    flat = stack(builder, [reshape(builder, x, (rows, length)) for x in moved], 1)
    found = _transform(builder, flat, sign)
    back = [order.index(k) for k in range(rank)]
    outer = [shape[k] for k in order]
    first, second = (
        transpose(builder, reshape(builder, squeeze(builder, part, (1,)), outer), back)
        for part in _halves(builder, found, 1)
    )
    return first, second


def _halves(builder: Builder, x: Value, axis: int) -> list[Value]:
    return [slice_axis(builder, x, axis, k, k + 1) for k in range(x.shape[axis])]


def _factors(length: int) -> list[int]:
    """Factors of about one size, none wider than a matrix should be where that can be had."""
    if length <= _WIDEST:
        return [length]
    levels = math.ceil(math.log(length, _WIDEST) - 1e-9)
    target = length ** (1 / levels)
    usable = [d for d in range(2, _WIDEST + 1) if length % d == 0]
    if not usable:
        return [length]
    factor = min(usable, key=lambda d: abs(math.log(d / target)))
    return [factor, *_factors(length // factor)]


def _roots(turns: NDArray[Any], length: int, sign: int) -> NDArray[np.complex128]:
    """exp(sign 2 pi i turns / length); whole turns are taken off first, to keep digits."""
    return np.asarray(np.exp(sign * 2j * np.pi * (turns % length) / length))


def _transform(builder: Builder, x: Value, sign: int) -> Value:
    """[rows, parts, n] to [rows, 2, n]"""
    rows, count, length = x.shape
    factors = _factors(length)
    if len(factors) == 1:
        if length > _LARGEST_PRIME:
            return _chirped(builder, x, sign)
        matrix = _matrix(builder, x, length, count, sign)
        return dot_general(builder, x, matrix, (), (), (1, 2), (0, 1))
    one, other = factors[0], length // factors[0]
    split = reshape(builder, x, (rows, count, one, other))
    matrix = _matrix(builder, x, one, count, sign)
    columns = dot_general(builder, split, matrix, (), (), (1, 2), (0, 1))  # rows, other, 2, one
    turns = np.outer(np.arange(other), np.arange(one))
    a, b = (squeeze(builder, part, (2,)) for part in _halves(builder, columns, 2))
    turned = _turned(builder, (a, b), _roots(turns, length, sign))  # rows, other, one
    ordered = [transpose(builder, part, (0, 2, 1)) for part in turned]
    lines = [reshape(builder, part, (rows * one, other)) for part in ordered]
    inner = _transform(builder, stack(builder, lines, 1), sign)
    found = reshape(builder, inner, (rows, one, 2, other))
    return reshape(builder, transpose(builder, found, (0, 2, 3, 1)), (rows, 2, length))


def _matrix(builder: Builder, x: Value, length: int, count: int, sign: int) -> Value:
    """[parts, j, 2, k]: (a + ib)(c + is) = ac - bs + i(as + bc)"""
    line = np.arange(length)
    w = _roots(np.outer(line, line), length, sign)
    table = np.stack([np.stack([w.real, w.imag], 1), np.stack([-w.imag, w.real], 1)])
    return builder.constant(np.ascontiguousarray(table[:count]).astype(x.dtype.numpy))


def _turned(builder: Builder, x: Pair, by: NDArray[np.complex128]) -> Pair:
    """Complex numbers, with a leading dim of rows, times a table of complex numbers."""
    (a, b), kind = x, x[0].dtype.numpy
    c, s = (
        builder.constant(np.ascontiguousarray(part).astype(kind)) for part in (by.real, by.imag)
    )

    def times(left: Value, right: Value) -> Value:
        return binary(builder, "multiply", left, right)

    real = builder.one("subtract", (times(a, c), times(b, s)))
    return real, builder.one("add", (times(a, s), times(b, c)))


def _chirped(builder: Builder, x: Value, sign: int) -> Value:
    """With c[j] = w^(j^2/2):  y[k] = c[k] sum of (x[j] c[j]) conj(c[k - j])."""
    _, count, length = x.shape
    points = 1 << (2 * length - 2).bit_length()
    chirp = _roots(np.arange(length) ** 2, 2 * length, sign)
    around = np.zeros(points, np.complex128)
    around[:length] = chirp.conj()
    around[points - length + 1 :] = chirp[:0:-1].conj()
    filtered = np.fft.fft(around) / points
    parts = [squeeze(builder, part, (1,)) for part in _halves(builder, x, 1)]
    if count == 1:
        parts.append(builder.one("subtract", (parts[0], parts[0])))
    started = _turned(builder, (parts[0], parts[1]), chirp)
    room = (0, points - length)
    wide = [pad(builder, part, (0, 0), room) for part in started]
    spectrum = _transform(builder, stack(builder, wide, 1), -1)
    a, b = (squeeze(builder, part, (1,)) for part in _halves(builder, spectrum, 1))
    product = _turned(builder, (a, b), filtered)
    circular = _transform(builder, stack(builder, product, 1), 1)
    kept = slice_axis(builder, circular, 2, 0, length)
    a, b = (squeeze(builder, part, (1,)) for part in _halves(builder, kept, 1))
    return stack(builder, _turned(builder, (a, b), chirp), 1)
