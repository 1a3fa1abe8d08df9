"""The short forms over Builder against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from tensorkiln.compiler.differentiate import gradient
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol, symbol_dim
from tensorkiln.compiler.ir.dtypes import BOOL, F32, F64, I32, I64, dtype_of
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops import shorthand as s
from tensorkiln.compiler.ops.shorthand_windows import convolution, layout, reduce_window
from tensorkiln.runtime.errors import TypeRuleError

Array: TypeAlias = NDArray[Any]


def _function(make: Callable[..., Value], *arrays: Array) -> Function:
    builder = Builder(REGISTRY)
    values = [
        builder.parameter(f"x{k}", TensorType(tuple(a.shape), dtype_of(a.dtype)))
        for k, a in enumerate(arrays)
    ]
    return builder.finish([make(builder, *values)])


def _run(make: Callable[..., Value], *arrays: Array) -> Array:
    (result,) = evaluate(_function(make, *arrays), arrays)
    return result


def _array(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 5), (5, 2)),
        ((5,), (5,)),
        ((5,), (5, 2)),
        ((3, 5), (5,)),
        ((2, 3, 5), (5,)),
        ((2, 3, 5), (5, 4)),
        ((5,), (2, 5, 4)),
        ((3, 5), (2, 5, 4)),
        ((7, 1, 3, 5), (2, 5, 4)),
        ((2, 0, 5), (2, 5, 1)),
    ],
)
def test_matmul_is_numpys(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = _array(*left), _array(*right)
    np.testing.assert_allclose(_run(s.matmul, a, b), np.matmul(a, b), rtol=1e-12)


def test_matmul_of_scalars_is_refused() -> None:
    with pytest.raises(TypeRuleError, match="rank 1 or more"):
        _function(s.matmul, _array(), _array(3))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_is_numpys(axis: int) -> None:
    x, indices = _array(3, 4, 5), np.array([[2, 0], [1, 1]], np.int32)
    found = _run(lambda b, v, i: s.take(b, v, i, axis), x, indices)
    np.testing.assert_array_equal(found, np.take(x, indices, axis))


def test_reductions() -> None:
    x = _array(3, 4, 5)
    for axes in (None, (0,), (-1,), (1, 2), ()):
        along = tuple(range(3)) if axes is None else axes
        for keep in (False, True):
            mean = _run(lambda b, v, a=axes, k=keep: s.reduce_mean(b, v, a, k), x)
            np.testing.assert_allclose(mean, x.mean(along, keepdims=keep), rtol=1e-12)
            top = _run(lambda b, v, a=axes, k=keep: s.reduce_max(b, v, a, k), x)
            np.testing.assert_array_equal(top, x.max(along, keepdims=keep))


def test_mean_over_a_symbolic_dim_counts_at_run_time() -> None:
    builder = Builder(REGISTRY)
    batch = symbol_dim(Symbol("batch", 1, 64))
    x = builder.parameter("x", TensorType((batch, 3), F64))
    function = builder.finish([s.reduce_mean(builder, x, (0,))])
    array = _array(7, 3)
    found: Array = evaluate(function, [array])[0]
    np.testing.assert_allclose(found, array.mean(0), rtol=1e-12)


def test_shapes_and_joins() -> None:
    x, y = _array(3, 1, 4), _array(3, 1, 4)
    cases: list[tuple[Callable[..., Value], Array]] = [
        (lambda b, v, w: s.squeeze(b, v), x.squeeze()),
        (lambda b, v, w: s.squeeze(b, v, (-2,)), x.squeeze(1)),
        (lambda b, v, w: s.expand_dims(b, v, (0, -1)), np.expand_dims(x, (0, -1))),
        (lambda b, v, w: s.transpose(b, v), x.transpose()),
        (lambda b, v, w: s.stack(b, [v, w], -1), np.stack([x, y], -1)),
        (lambda b, v, w: s.concat(b, [v, w], -2), np.concatenate([x, y], -2)),
        (lambda b, v, w: s.reverse(b, v, (-1,)), np.flip(x, -1)),
        (lambda b, v, w: s.slice_axis(b, v, -1, 1, 4, 2), x[..., 1:4:2]),
        (lambda b, v, w: s.broadcast_to(b, v, (2, 3, 5, 4)), np.broadcast_to(x, (2, 3, 5, 4))),
        (lambda b, v, w: s.pad(b, v, (1, 0, 0), (0, 0, 2)), np.pad(x, ((1, 0), (0, 0), (0, 2)))),
        (lambda b, v, w: s.binary(b, "add", s.squeeze(b, v), w), x.squeeze() + y),
        (lambda b, v, w: s.iota(b, (2, 3), -1, F64), np.tile(np.arange(3.0), (2, 1))),
        (lambda b, v, w: s.count(b, v.type.shape, F64), np.array(12.0)),
        (lambda b, v, w: s.arg_reduce(b, v, "min", -1)[1], x.argmin(-1)),
        (lambda b, v, w: s.select(b, s.compare(b, "LT", v, w), v, w), np.minimum(x, y)),
    ]
    for make, expected in cases:
        np.testing.assert_array_equal(_run(make, x, y), expected)


def test_unpad_undoes_pad() -> None:
    x = _array(4, 5)
    numbers = ((1, 2), (0, 3), (2, 0))
    found = _run(lambda b, v: s.unpad(b, s.pad(b, v, *numbers), *numbers), x)
    np.testing.assert_array_equal(found, x)
    cropped = _run(lambda b, v: s.unpad(b, s.pad(b, v, (-1, 0), (0, -2)), (-1, 0), (0, -2)), x)
    expected = np.zeros_like(x)
    expected[1:, :3] = x[1:, :3]
    np.testing.assert_array_equal(cropped, expected)


def test_nothing_to_do_adds_no_op() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((2, 3), F32))
    same = [
        s.reshape(builder, x, (2, 3)),
        s.transpose(builder, x, (0, 1)),
        s.broadcast_to(builder, x, (2, 3)),
        s.slice_(builder, x, (0, 0), (2, 3)),
        s.pad(builder, x, (0, 0), (0, 0)),
        s.convert(builder, x, F32),
        s.concat(builder, [x], 0),
        s.reduce_sum(builder, x, ()),
        s.reverse(builder, x, ()),
    ]
    assert same == [x] * len(same)
    assert builder.ops == []


def test_convolution_in_named_layouts() -> None:
    x, kernel = _array(1, 4, 5, 2), _array(3, 3, 2, 6)
    same = ((1, 1), (1, 1))
    found = _run(lambda b, v, k: convolution(b, v, k, "NHWC", "HWIO", padding=same), x, kernel)
    expected = np.zeros((1, 4, 5, 6))
    wide = np.pad(x, ((0, 0), *same, (0, 0)))
    for i, j in np.ndindex(3, 3):
        expected += wide[:, i : i + 4, j : j + 5] @ kernel[i, j]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    flat = _run(
        lambda b, v, k: convolution(b, v, k, "NCHW", "OIHW", padding=same),
        x.transpose(0, 3, 1, 2),
        kernel.transpose(3, 2, 0, 1),
    )
    np.testing.assert_allclose(flat.transpose(0, 2, 3, 1), expected, rtol=1e-12)


def test_errors_name_the_mistake() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((2, 3), F32))
    with pytest.raises(TypeRuleError, match="axis 2 does not exist"):
        s.reduce_sum(builder, x, (2,))
    with pytest.raises(TypeRuleError, match=r"\[2, 3\] and \[4\] do not broadcast"):
        s.broadcast_shapes((2, 3), (4,))
    with pytest.raises(TypeRuleError, match="NHW"):
        layout("NHW", "N", "C")


def test_equal_maxima_share_the_cotangent() -> None:
    function = _function(s.reduce_max, np.array([1.0, 3.0, 3.0]))
    (found,) = evaluate(gradient(function), [np.array([1.0, 3.0, 3.0])])
    np.testing.assert_array_equal(found, [0, 0.5, 0.5])


def test_first_maximum_of_a_window_takes_the_cotangent() -> None:
    x = np.array([2.0, 5.0, 5.0, 1.0])

    def pool(builder: Builder, value: Value) -> Value:
        return reduce_window(builder, value, "maximum", (2,), (1,))

    (found,) = evaluate(gradient(_function(pool, x)), [x])
    np.testing.assert_array_equal(found, [0, 2, 1, 0])


def test_clamped_gather_sends_the_cotangent_where_it_read() -> None:
    x, indices = np.array([1.0, 2.0, 3.0]), np.array([7, -1, 1], np.int32)
    function = _function(s.take, x, indices)
    (found,) = evaluate(gradient(function, [0]), [x, indices])
    np.testing.assert_array_equal(found, [1, 1, 1])


def test_constants_are_of_the_dtype() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((2,), BOOL))
    assert s.zeros_like(builder, x).type == x.type
    assert s.full(builder, (3,), 2, I32).type == TensorType((3,), I32)
    assert s.index_dtype(2**31) is I64
    assert s.index_dtype(7) is I32
