"""Rows of several sequences lie one behind the other, and whoever looks for places finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from sizes.checked_parts import check_bounds, part, program_of
from sizes.open_functions import Make, arrays_for, function_of

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.dtypes import F32, I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import opened

WIDTH = 20
PART = (Symbol("n", 2, 14), Symbol("b", 2, 5))
POINTS = [(2, 2), (2, 5), (3, 5), (7, 2), (8, 4), (13, 3), (14, 2), (14, 5)]


def _given(builder: Builder, name: str, *shape: int) -> Value:
    return builder.parameter(name, TensorType(shape, F32))


def _weights(builder: Builder, rows: int, columns: int, x: Value) -> Value:
    """The product of the last dim with a constant matrix."""
    drawn = np.random.default_rng(rows * columns)
    array = (drawn.standard_normal((rows, columns)) * 0.3).astype(np.float32)
    return op.matmul(builder, x, builder.constant(array))


def encoder(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Products and a norm of rows, scores within a sequence, a residual, one row of each."""
    x = _given(builder, "x", b, n, WIDTH)
    q, k, v = (_weights(builder, WIDTH, width, x) for width in (33, 33, 48))
    scores = op.matmul(builder, q, op.transpose(builder, k, (0, 2, 1)))
    mixed = op.matmul(builder, builder.one("softmax", (scores,), axis=2), v)
    y = op.binary(builder, "add", _weights(builder, 48, WIDTH, mixed), x)
    mean = op.broadcast_in_dim(builder, op.reduce_mean(builder, y, (2,)), y.shape, (0, 1))
    z = _weights(builder, WIDTH, 40, op.binary(builder, "subtract", y, mean))
    first = op.slice_(builder, z, (0, 0, 0), (b, 1, 40))
    return [_weights(builder, 40, WIDTH, builder.one("tanh", (z,))), first]


def between(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Running sums and sums over each sequence between products; a size between the two."""
    x = _weights(builder, WIDTH, 16, _given(builder, "x", b, n, 3, WIDTH))
    sums = builder.one(
        "cumulative", (x,), dimension=1, reducer="add", reverse=False, exclusive=False
    )
    total = op.reduce_sum(builder, builder.one("tanh", (_weights(builder, 16, 24, sums),)), (1,))
    return [_weights(builder, 24, 5, total), _weights(builder, 16, 7, sums)]


def places(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Numbers that depend on the place in a sequence are added to a product, and multiplied."""
    x = _given(builder, "x", b, n, WIDTH)
    at = op.convert(builder, op.iota(builder, (b, n, 16), 1, I32), F32)
    y = op.binary(builder, "add", _weights(builder, WIDTH, 16, x), at)
    return [_weights(builder, 16, 16, op.binary(builder, "multiply", y, at))]


def lanes(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Places of a sequence in lanes become rows, whose products are summed."""
    x = builder.one("tanh", (_given(builder, "x", b, n),))
    wide = _weights(builder, 1, 40, op.reshape(builder, x, (b, n, 1)))
    return [_weights(builder, 40, 3, builder.one("tanh", (wide,))), x]


def gradient(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """The rows are also what a product sums over, as that of a gradient does."""
    x = _weights(builder, WIDTH, 16, _given(builder, "x", b, n, WIDTH))
    y = builder.one("tanh", (_weights(builder, 16, 18, x),))
    flat = [op.reshape(builder, v, (b * n, v.shape[-1])) for v in (x, y)]
    return [op.matmul(builder, op.transpose(builder, flat[0], (1, 0)), flat[1]), y]


def turned(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Rows in one order of the two sizes, then in the other."""
    x = _weights(builder, WIDTH, 16, _given(builder, "x", b, n, WIDTH))
    other = builder.one("tanh", (op.transpose(builder, x, (1, 0, 2)),))
    return [_weights(builder, 16, 16, other)]


CASES: Mapping[str, Make] = {
    "encoder": encoder, "between": between, "places": places, "lanes": lanes,
    "gradient": gradient, "turned": turned,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_access_is_inside(name: str) -> None:
    points = [{"n": n, "b": b} for n, b in POINTS]
    check_bounds(CASES[name], PART, points, tolerance=5e-4)


@pytest.mark.parametrize("name", [name for name in CASES if name != "gradient"])
def test_rows_are_counted_through_all_sequences(name: str) -> None:
    program = program_of(part(CASES[name], PART))
    for kernel in program.kernels:
        verify_kernel(kernel)
    names = {s.var.name for k in program.kernels for s in k.body if hasattr(s, "var")}
    assert any("*" in name for name in names)


def test_the_same_as_alone() -> None:
    target = target_named("host")
    range_ = opened(load_compiled(compile_open(lambda p: function_of(encoder, p), PART, target), 1))
    for n, b in POINTS:
        function = function_of(encoder, {"n": n, "b": b})
        arrays = arrays_for(function)
        alone = load_compiled(compile_function(function, target), 1)
        for got, wanted in zip(range_(*arrays), alone(*arrays), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
