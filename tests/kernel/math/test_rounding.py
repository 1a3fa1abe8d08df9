"""floor, ceil, trunc and round_even from additions: exact, zeros keep their sign."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.kernel.expr import INDEX, Buffer, Load, Unary, Var
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.math.rounding import ROUNDINGS, expand_rounding
from tensorkiln.compiler.kernel.meaning import Lanes
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind, Store, loop
from tensorkiln.compiler.kernel.text import print_kernel
from tensorkiln.compiler.kernel.verify import verify_kernel

NUMPY = {"floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round_even": np.rint}


def _points(dtype: DType) -> Lanes:
    digits = 24 if dtype == F32 else 53
    whole = np.concatenate([np.arange(0, 40) / 8, 2.0 ** np.arange(digits - 4, digits + 3)])
    near = np.concatenate([whole, whole + 0.5, whole + 1, whole - 0.5]).astype(dtype.numpy)
    near = np.concatenate([near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf)])
    random = np.random.default_rng(0).normal(scale=1e3, size=2000)
    special = [np.inf, np.nan, 0.0, 1e-40, 1e30]
    points = np.concatenate([near, random, special]).astype(dtype.numpy)
    return np.concatenate([points, -points])


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("op", ROUNDINGS)
def test_rounding_is_exact(op: str, dtype: DType) -> None:
    x = _points(dtype)
    lane = Var("l", INDEX, x.size)
    source, target = Buffer("x", x.shape, dtype), Buffer("y", x.shape, dtype)
    store = Store(target, (lane,), Unary(op, Load(source, (lane,))))
    kernel = Kernel("k", (source, target), 1, (loop(lane, (store,), LoopKind.VECTOR),))
    expanded = expand_rounding(kernel)
    verify_kernel(expanded)
    assert op not in print_kernel(expanded)
    found = np.zeros_like(x)
    interpret(expanded, [x, found])
    expected = NUMPY[op](x)
    np.testing.assert_array_equal(found, expected)
    known = ~np.isnan(x)
    np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(expected[known]))
