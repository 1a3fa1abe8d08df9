"""16-bit floats by integer arithmetic: exact against numpy and ml_dtypes, one rounding only."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    DTYPES,
    F16,
    F32,
    F64,
    I32,
    I64,
    DType,
)  # fmt: skip
from tensorkiln.compiler.kernel import meaning
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Bitcast,
    Buffer,
    Const,
    Convert,
    Expr,
    Load,
    Select,
    Unary,
    Var,
    children,
)  # fmt: skip
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.math.expand import expand_math
from tensorkiln.compiler.kernel.math.narrow import NARROW, expand_narrow
from tensorkiln.compiler.kernel.meaning import Lanes
from tensorkiln.compiler.kernel.stmt import Kernel, Let, LoopKind, Store, loop, walk
from tensorkiln.compiler.kernel.verify import verify_kernel

pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")


# A 4-bit float has neither NaN nor infinities.
WITH_NAN = [d for d in NARROW if np.isnan(np.float32(np.nan).astype(d.numpy))]
WITH_SIGNS = [d for d in WITH_NAN if np.float32(-1).astype(d.numpy).astype(np.float32) < 0]


def _every(dtype: DType) -> Lanes:
    """Every number of a narrow float."""
    return np.arange(1 << dtype.bits, dtype=f"u{dtype.bytes}").view(dtype.numpy)


def _run(build: Callable[..., Expr], result: DType, *arrays: Lanes, half: bool = False) -> Lanes:
    """The expanded kernel `y[l] = build(x0[l], ...)` of all elements as lanes of one vector."""
    dtypes = [_dtype(a) for a in arrays]
    lane = Var("l", INDEX, arrays[0].size)
    inputs = [
        Buffer(f"x{k}", (a.size,), d) for k, (a, d) in enumerate(zip(arrays, dtypes, strict=True))
    ]
    output = Buffer("y", (arrays[0].size,), result)
    value = build(*(Load(b, (lane,)) for b in inputs))
    body = (loop(lane, (Store(output, (lane,), value),), LoopKind.VECTOR),)
    kernel = Kernel("k", (*inputs, output), 1, body)
    expanded = expand_narrow(expand_math(kernel), half)
    verify_kernel(expanded)
    _check_left(expanded, half)
    found = np.zeros(arrays[0].size, result.numpy)
    interpret(expanded, [*arrays, found])
    return found


def _dtype(array: Lanes) -> DType:
    known = {d.numpy: d for d in DTYPES}
    return known[array.dtype]


def _check_left(kernel: Kernel, half: bool) -> None:
    """Only loads, stores, selects and bitcasts know 16-bit floats, and conversions if `half`."""
    for stmt in walk(kernel.body):
        if isinstance(stmt, Let | Store):
            for node in _nodes(stmt.value):
                if isinstance(node, Convert) and half:
                    kinds = {node.dtype, node.operand.dtype}
                    assert BF16 not in kinds
                    assert F16 not in kinds or kinds == {F16, F32}
                elif not isinstance(node, Bitcast | Select | Load | Const | Var):
                    assert all(child.dtype not in NARROW for child in children(node))
                    assert node.dtype not in NARROW


def _nodes(expr: Expr) -> list[Expr]:
    return [expr, *(node for child in children(expr) for node in _nodes(child))]


def _same(found: Lanes, expected: Lanes) -> None:
    """Equal bits, but for the bits of NaN."""
    nan = np.isnan(np.asarray(expected, np.float64))
    assert np.array_equal(np.isnan(np.asarray(found, np.float64)), nan)
    np.testing.assert_array_equal(
        found[~nan].view(f"u{found.itemsize}"), expected[~nan].view(f"u{found.itemsize}")
    )


def _near_every(dtype: DType, wide: DType) -> Lanes:
    """In `wide`: every number of `dtype`, the ties between neighbours, and what lies next to both."""
    numbers = _every(dtype).astype(wide.numpy)
    numbers = numbers[np.isfinite(numbers)]
    ordered = np.unique(numbers)
    ties = (ordered[1:] + ordered[:-1]) / 2
    points = np.concatenate([numbers, ties, ordered[-1:] * np.array([1.0, 1.0005, 1.01, 3.0])])
    up, down = np.nextafter(points, np.inf), np.nextafter(points, -np.inf)
    special = np.array([np.inf, -np.inf, np.nan, 1e-30, -1e30, 5e-324, 1e-45])
    return np.concatenate([points, up, down, special]).astype(wide.numpy)


@pytest.mark.parametrize("wide", [F32, F64], ids=str)
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_every_number_is_widened_exactly(dtype: DType, wide: DType) -> None:
    x = _every(dtype)
    _same(_run(lambda e: Convert(e, wide), wide, x), x.astype(wide.numpy))


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_f32_is_rounded_to_nearest_even(dtype: DType) -> None:
    x = _near_every(dtype, F32)
    x = x if dtype in WITH_NAN else x[~np.isnan(x)]
    with np.errstate(over="ignore"):
        _same(_run(lambda e: Convert(e, dtype), dtype, x), x.astype(dtype.numpy))


def test_f64_to_f16_is_rounded_once() -> None:
    x = _near_every(F16, F64)
    with np.errstate(over="ignore"):
        _same(_run(lambda e: Convert(e, F16), F16, x), x.astype(np.float16))


def test_f64_to_bf16_is_rounded_once() -> None:
    """1 + 2**-8 is a tie; what lies just above it is no tie, though f32 says that it is."""
    x = np.array([1 + 2**-8, 1 + 2**-8 + 2**-40, 1 + 3 * 2**-8, 1 + 3 * 2**-8 - 2**-40, -1e39])
    found = _run(lambda e: Convert(e, BF16), BF16, x).astype(np.float64)
    assert found.tolist() == [1, 1 + 2**-7, 1 + 2**-6, 1 + 2**-7, -np.inf]
    x = _near_every(BF16, F64)
    _same(_run(lambda e: Convert(e, BF16), BF16, x), meaning.convert(F64, BF16, x))


def test_integers_are_rounded_once() -> None:
    tie = (1 << 61) + (1 << 53)
    x = np.array([tie, tie + 1, tie - 1, -tie - 1, 3, -(1 << 63)], np.int64)
    found = _run(lambda e: Convert(e, BF16), BF16, x).astype(np.float64)
    up = 2.0**61 + 2.0**54
    assert found.tolist() == [2.0**61, up, 2.0**61, -up, 3, -(2.0**63)]
    assert meaning.convert(I64, BF16, x).astype(np.float64).tolist() == found.tolist()
    x = np.array([65519, 65520, -65520, 2049, 2051, -(1 << 31)], np.int32)
    found = _run(lambda e: Convert(e, F16), F16, x).astype(np.float64)
    assert found.tolist() == [65504, np.inf, -np.inf, 2048, 2052, -np.inf]


@pytest.mark.parametrize("dtype", WITH_SIGNS, ids=str)
def test_conversions_that_leave_the_floats(dtype: DType) -> None:
    x = np.array([1.5, -2.5, 0, -0.0, np.nan, np.inf, -np.inf]).astype(dtype.numpy)
    # Some 8-bit floats have NaN for the infinities.
    infinite = [2**31 - 1, -(2**31)] if np.isinf(x[-1].astype(np.float64)) else [0, 0]
    as_integers = _run(lambda e: Convert(e, I32), I32, x)
    assert as_integers.tolist() == [1, -2, 0, 0, 0, *infinite]
    as_bools = _run(lambda e: Convert(e, BOOL), BOOL, x)
    assert as_bools.tolist() == [True, True, False, False, True, True, True]


def test_one_narrow_dtype_becomes_the_other() -> None:
    x = _every(F16)
    found = _run(lambda e: Convert(e, BF16), BF16, x)
    _same(found, x.astype(np.float32).astype(ml_dtypes.bfloat16))


@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize("op", ["add", "mul", "div", "max", "lt"])
def test_arithmetic_is_rounded_once(op: str, dtype: DType) -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.permutation(_every(dtype)) for _ in range(2))
    functions = {"add": np.add, "mul": np.multiply, "div": np.divide, "max": np.maximum}
    with np.errstate(all="ignore"):
        wide = a.astype(np.float64), b.astype(np.float64)
        if op == "lt":
            found = _run(lambda x, y: Binary("lt", x, y), BOOL, a, b)
            np.testing.assert_array_equal(found, wide[0] < wide[1])
            return
        found = _run(lambda x, y: Binary(op, x, y), dtype, a, b)
        # f32 has more than twice the digits, so that its rounding first changes nothing.
        expected = functions[op](*(x.astype(np.float32) for x in (a, b))).astype(dtype.numpy)
    _same(found, expected)


def test_conversion_instructions_remain_where_the_target_has_them() -> None:
    x = np.array([1.5, 70000, 1e-7], np.float32)
    with np.errstate(over="ignore"):
        found = _run(lambda e: Unary("neg", Convert(e, F16)), F16, x, half=True)
        _same(found, -x.astype(np.float16))
