"""Proofs about numbers, against all numbers of small dtypes."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    DTYPES,
    F16,
    F32,
    F64,
    I8,
    I16,
    U8,
    DType,
)  # fmt: skip
from tensorkiln.compiler.kernel.meaning import convert
from tensorkiln.compiler.passes.facts import exact_reciprocal, is_lossless, is_number

SMALL = [dtype for dtype in DTYPES if dtype.bits <= 16]


def every_number(dtype: DType) -> np.ndarray:
    if dtype == BOOL:
        return np.array([False, True])
    bits = np.arange(1 << dtype.bits, dtype=np.uint64)
    numbers = bits.astype(f"u{dtype.bytes}").view(dtype.numpy)
    return numbers[~np.isnan(numbers.astype(np.float64))]


@pytest.mark.parametrize("source", SMALL, ids=str)
@pytest.mark.parametrize("target", DTYPES, ids=str)
def test_lossless_conversions_come_back(source: DType, target: DType) -> None:
    if not is_lossless(source, target):
        return
    numbers = every_number(source)
    with np.errstate(all="ignore"):
        back = convert(target, source, convert(source, target, numbers))
    assert back.tobytes() == numbers.tobytes()


def test_some_conversions_lose() -> None:
    lossy = [(F16, BF16), (BF16, F16), (I16, F16), (I8, U8), (U8, I8), (F32, BF16), (F64, F32), (I8, BOOL)]  # fmt: skip
    assert not any(is_lossless(a, b) for a, b in lossy)
    assert is_lossless(U8, BF16)
    assert is_lossless(I8, BF16)
    assert is_lossless(U8, F16)


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
def test_exact_reciprocals_divide_like_the_number(dtype: DType) -> None:
    everything = every_number(dtype)
    found = 0
    for number in everything[:: 1 if dtype == F16 else 64]:
        reciprocal = exact_reciprocal(np.asarray(number))
        if reciprocal is None:
            continue
        found += 1
        with np.errstate(all="ignore"):
            quotient, product = everything / number, everything * reciprocal
        assert quotient.tobytes() == product.tobytes()
    assert found > 10


def test_numbers_have_signs() -> None:
    assert is_number(np.asarray(-0.0), -0.0)
    assert not is_number(np.asarray(0.0), -0.0)
    assert not is_number(np.asarray(True), 1.0)
    assert not is_number(None, 1.0)
