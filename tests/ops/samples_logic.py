"""Samples of bitwise logic, comparisons, choices and conversions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ops.samples import Numbers, Sample, draw
from ops.samples_arithmetic import edges, exactly, grid

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    DTYPES,
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    DType,
    dtype_of,
)  # fmt: skip
from tensorkiln.compiler.ops.rules import FLOATS, INTEGERS, NUMBERS

BOOLS = (np.array([False, False, True, True]), np.array([False, True, False, True]))
AMOUNTS = np.array([0, 1, 3, 7, 8, 15, 31, 33, 63, 64, 100, -1])


def _bitwise(op: str, python: Callable[[int, int], int], numpy: Callable[..., Any]) -> list[Sample]:
    integers = [Sample(op, edges(d), exactly(python), raw=True) for d in INTEGERS]
    return [*integers, Sample(op, BOOLS, numpy)]


def _shift(op: str, python: Callable[[int, int, int], int]) -> list[Sample]:
    """`python(pattern, amount, bits)` with an unsigned pattern and amount."""
    samples = []
    for dtype in INTEGERS:
        amounts = AMOUNTS.astype(dtype.numpy)
        x = np.array([0x5A, -0x5B, 1, -128]).astype(dtype.numpy)
        pattern, amount = map(np.ascontiguousarray, np.meshgrid(x, amounts))
        width = dtype.bits

        def shift(a: int, b: int, width: int = width) -> int:
            mask = (1 << width) - 1
            return python(a & mask, b & mask, width)

        samples.append(Sample(op, (pattern, amount), exactly(shift), raw=True))
    return samples


def _left(pattern: int, amount: int, bits: int) -> int:
    return pattern << amount if amount < bits else 0


def _right(pattern: int, amount: int, bits: int) -> int:
    return pattern >> amount if amount < bits else 0


def _arithmetic(pattern: int, amount: int, bits: int) -> int:
    signed = pattern - (1 << bits) if pattern >> (bits - 1) else pattern
    return signed >> min(amount, bits)


def _count(op: str, text: Callable[[str], int]) -> list[Sample]:
    """A count made from the number's binary digits."""

    def sample(dtype: DType) -> Sample:
        def count(a: int, b: int) -> int:
            return text(format(a % (1 << dtype.bits), f"0{dtype.bits}b"))

        return Sample(op, (edges(dtype)[0],), lambda x: exactly(count)(x, x), raw=True)

    return [sample(dtype) for dtype in INTEGERS]


def _compare() -> list[Sample]:
    python: dict[str, Callable[[Any, Any], Any]] = {
        "EQ": lambda a, b: a == b, "NE": lambda a, b: a != b, "LT": lambda a, b: a < b,
        "LE": lambda a, b: a <= b, "GT": lambda a, b: a > b, "GE": lambda a, b: a >= b,
    }  # fmt: skip

    def sample(direction: str, operands: tuple[Numbers, Numbers]) -> Sample:
        def expected(x: Numbers, y: Numbers) -> Numbers:
            pairs = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
            return np.array([python[direction](a, b) for a, b in pairs]).reshape(x.shape)

        attributes = {"direction": direction}
        return Sample("compare", operands, expected, attributes, label=direction)

    operands = [edges(d) for d in (I8, U8, I32, I64, U64)]
    operands += [grid(F32), grid(F64), BOOLS]
    operands += [(draw((5,), d), draw((5,), d, seed=1)) for d in (F16, BF16, I16, U16, U32)]
    return [sample(direction, pair) for direction in python for pair in operands]


def _select() -> list[Sample]:
    chosen = draw((3, 4), BOOL)
    samples = [
        Sample("select", (chosen, draw((3, 4), d), draw((3, 4), d, seed=1)), np.where)
        for d in DTYPES
    ]
    scalar = (np.array(True), draw((3, 4), F32), draw((3, 4), F32, seed=1))
    return [*samples, Sample("select", scalar, np.where, label="scalar")]


def _clamp() -> list[Sample]:
    def expected(low: Numbers, x: Numbers, high: Numbers) -> Numbers:
        return np.where(x < low, low, np.where(x > high, high, x))

    samples = []
    for dtype in NUMBERS:
        kind = dtype.numpy
        low, high = (
            np.full((3, 4), 0 if dtype.kind == "uint" else -1, kind),
            np.full((3, 4), 1, kind),
        )
        x = draw((3, 4), dtype, -3, 3)
        samples.append(Sample("clamp", (low, x, high), expected))
        samples.append(Sample("clamp", (low[0, 0], x, high[0, 0]), expected, label="scalars"))
    special = np.array([np.nan, np.inf, -np.inf, 0.0], np.float32)
    bounds = np.float32(-1), special, np.float32(2)
    arrays = tuple(np.asarray(a) for a in bounds)
    return [*samples, Sample("clamp", arrays, expected, label="special", differentiate=())]


def _converted(x: Numbers, target: DType) -> Numbers:
    """One element after the other, in Python's numbers."""
    values = []
    for item in x.ravel().astype(np.float64 if dtype_of(x.dtype).is_float else x.dtype).tolist():
        if target == BOOL:
            values.append(item != 0)
        elif not target.is_integer:
            values.append(float(item))
        elif isinstance(item, float):
            info = np.iinfo(target.numpy.str)
            bounded = 0 if np.isnan(item) else min(max(item, float(info.min)), float(info.max))
            values.append(min(max(int(bounded), int(info.min)), int(info.max)))
        else:
            bits = target.bits
            wrapped = int(item) % (1 << bits)
            signed = target.kind == "int" and wrapped >> (bits - 1)
            values.append(wrapped - (1 << bits) if signed else wrapped)
    found: Numbers = np.array(values, target.numpy).reshape(x.shape)
    return found


def _convert() -> list[Sample]:
    def operand(dtype: DType) -> Numbers:
        if dtype.is_integer:
            row: Numbers = edges(dtype)[0][0]
            return row
        if dtype == BOOL:
            return BOOLS[1]
        values = [0.0, -0.0, 0.5, -0.5, 1.9, -1.9, 100.0, -100.0, 300.0, 5e9, -5e9, 3e19, -3e19]
        with np.errstate(over="ignore"):
            return np.array([*values, np.nan, np.inf, -np.inf]).astype(dtype.numpy)

    samples = []
    computed = [d for d in DTYPES if not d.is_storage]  # for the others see samples_storage.py
    for source in computed:
        for target in computed:
            x = operand(source)
            if target in (F16, BF16) and source.bits > 16:
                x = x[:5]  # others may be rounded twice
            samples.append(
                Sample(
                    "convert", (x,), lambda x, target=target: _converted(x, target),
                    {"dtype": target}, label=f"to_{target}", raw=True, differentiate=(),
                )
            )  # fmt: skip
    smooth = draw((4,), F64)
    return [*samples, Sample("convert", (smooth,), lambda x: x, {"dtype": F64}, label="smooth")]


def _bitcast() -> list[Sample]:
    groups = ((I8, U8), (I16, U16, F16, BF16), (I32, U32, F32), (I64, U64, F64))
    return [
        Sample(
            "bitcast_convert", (draw((3, 3), source, 0, 100),),
            lambda x, target=target: np.frombuffer(x.tobytes(), target.numpy).reshape(x.shape),
            {"dtype": target}, label=f"to_{target}", raw=True, exact=True,
        )
        for group in groups for source in group for target in group
    ]  # fmt: skip


SAMPLES = (
    *_bitwise("and", lambda a, b: a & b, np.logical_and),
    *_bitwise("or", lambda a, b: a | b, np.logical_or),
    *_bitwise("xor", lambda a, b: a ^ b, np.not_equal),
    *(
        Sample("not", (edges(d)[0],), lambda x: exactly(lambda a, b: -a - 1)(x, x), raw=True)
        for d in INTEGERS
    ),
    Sample("not", (BOOLS[1],), np.logical_not),
    *_shift("shift_left", _left),
    *_shift("shift_right_logical", _right),
    *_shift("shift_right_arithmetic", _arithmetic),
    *_count("popcnt", lambda digits: digits.count("1")),
    *_count("count_leading_zeros", lambda digits: len(digits) - len(digits.lstrip("0"))),
    *_compare(),
    *(
        Sample("is_finite", (np.array([0, -1, np.inf, -np.inf, np.nan], d.numpy),),
               lambda x: ~(np.isnan(x) | np.isinf(x)))
        for d in FLOATS
    ),
    *_select(),
    *_clamp(),
    *_convert(),
    *_bitcast(),
    *(Sample("identity", (draw((3,), d),), lambda x: x) for d in DTYPES),
    *(Sample("stop_gradient", (draw((3,), d),), lambda x: x) for d in DTYPES),
)  # fmt: skip
