"""Calls of few rows have register tiles of their own in products for ranges of sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sizes.checked_parts import check_bounds, part
from sizes.open_functions import Make, arrays_for, function_of

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.branches import exclude, least_under
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Expr, Var
from tensorkiln.compiler.kernel.stmt import Alloc, walk
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.pipeline import compile_function, lower
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import opened

PART = (Symbol("n", 2, 14), Symbol("b", 2, 4))
POINTS = ((2, 2), (3, 2), (2, 4), (14, 4))  # rows for two of the tiles, and for the others


def _product(builder: Builder, x: Value, columns: int) -> Value:
    rows = x.shape[-1]
    drawn = np.random.default_rng(columns).standard_normal((rows, columns)) / rows**0.5
    return op.matmul(builder, x, builder.constant(drawn.astype(np.float32)))


def ragged(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Columns that are whole tiles of no form."""
    return [_product(builder, builder.parameter("x", TensorType((b, n, 24), F32)), 229)]


def deep(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Two blocks of depth, with partial sums in the result."""
    return [_product(builder, builder.parameter("x", TensorType((b, n, 1100), F32)), 40)]


@pytest.mark.parametrize("make", [ragged, deep])
def test_bits_are_those_of_one_size(make: Make) -> None:
    target = target_named("host")
    compiled = compile_open(lambda p: function_of(make, p), PART, target)
    range_ = opened(load_compiled(compiled, 2))
    for n, b in POINTS:
        function = function_of(make, {"n": n, "b": b})
        arrays = arrays_for(function)
        alone = load_compiled(compile_function(function, target), 1)(*arrays)
        for got, wanted in zip(range_(*arrays), alone, strict=True):
            np.testing.assert_array_equal(got, wanted, err_msg=f"n={n}, b={b}")


def test_every_access_is_inside() -> None:
    points = [{"n": n, "b": b} for n, b in ((3, 2), (4, 4))]
    check_bounds(ragged, (Symbol("n", 3, 4), PART[1]), points, tolerance=5e-4)


def _accumulators(low: int, target: str) -> set[int]:
    """The columns of a product's accumulators, for `low` rows and more."""

    def wide(builder: Builder, n: int, b: int) -> Sequence[Value]:
        return [_product(builder, builder.parameter("x", TensorType((b, n, 24), F32)), 256)]

    bounded = part(wide, (Symbol("n", low, 14), Symbol("b", 1, 4)))
    program = lower(bounded.function, target_named(target), bounded=bounded).program
    for kernel in program.kernels:
        verify_kernel(kernel)
    statements = [s for kernel in program.kernels for s in walk(kernel.body)]
    return {s.buffer.shape[-1] for s in statements if isinstance(s, Alloc)}


@pytest.mark.parametrize("low", [1, 3, 5, 7])
def test_tiles_are_as_wide_as_registers_allow(low: int) -> None:
    few = {2: 128, 4: 96, 6: 64, 14: 32}  # the most rows of tiles with AVX-512, their columns
    wanted = {columns for rows, columns in few.items() if rows >= low}
    assert _accumulators(low, "x86-64-v4") == wanted


def test_conditions_tell_of_each_other() -> None:
    rows = Var("rows", INDEX, 20)
    other = Var("other", INDEX, 20)

    def below(at: Expr, end: int) -> Expr:
        return Binary("lt", at, ix.const(end))

    def least(at: Expr, start: int) -> Expr:
        return Binary("ge", at, ix.const(start))

    assert exclude(below(rows, 5), least(rows, 5))
    assert exclude(least(rows, 7), below(rows, 5))
    assert not exclude(below(rows, 6), least(rows, 5))
    assert not exclude(below(rows, 5), least(other, 5))
    assert not exclude(below(rows, 5), below(rows, 5))
    assert not exclude(below(rows, 5), Binary("lt", rows, other))
    doubled = ix.add(ix.mul(rows, 2), ix.const(1))
    assert least_under([least(rows, 5)], {"rows": 2, "other": 3}) == {"rows": 5, "other": 3}
    assert least_under([least(doubled, 8)], {}) == {"rows": 4}
    assert least_under([below(rows, 5), least(ix.add(rows, other), 9)], {"rows": 2}) == {"rows": 2}
