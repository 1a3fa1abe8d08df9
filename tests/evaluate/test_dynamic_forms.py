"""Ops whose sizes are operands are the static ops where the sizes follow from constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tensorkiln.compiler.evaluate import dynamic_forms as forms
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, I32, I64
from tensorkiln.compiler.ir.function import Array, Attribute, Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand
from tensorkiln.compiler.ops.shorthand_control import region
from tensorkiln.runtime.errors import UnsupportedError

X = np.arange(12, dtype=np.float32).reshape(3, 4)
Make = Callable[[Builder, Value], Value]


def _vector(builder: Builder, *values: int) -> Value:
    """A vector worked out from constants."""
    doubled = builder.constant(2 * np.array(values, np.int64))
    twos = builder.constant(np.full(len(values), 2, np.int64))
    return builder.one("divide", (doubled, twos))


ROWS = {
    "offset_dims": (1,), "collapsed_slice_dims": (0,), "start_index_map": (0,),
    "index_vector_dim": 1,
}  # fmt: skip
CONVOLVED: dict[str, Attribute] = {
    "strides": (1,), "lhs_dilation": (1,), "rhs_dilation": (1,), "reversal": (0,),
    "lhs_spec": (0, 1, 2), "rhs_spec": (0, 1, 2), "out_spec": (0, 1, 2), "feature_groups": 1,
    "batch_groups": 1,
}  # fmt: skip


def _twice_less_one(builder: Builder) -> Function:
    """a + b - 1 of scalars."""

    def less_one(inner: Builder, values: Sequence[Value]) -> Sequence[Value]:
        total = inner.one("add", tuple(values))
        return [inner.one("subtract", (total, shorthand.scalar(inner, 1, F32)))]

    return region(builder, "twice", [TensorType((), F32)] * 2, less_one)


CASES: dict[str, tuple[Make, Array]] = {
    "reshape": (lambda b, x: forms.dynamic_reshape(b, x, _vector(b, 2, 6)), X.reshape(2, 6)),
    "broadcast": (
        lambda b, x: forms.dynamic_broadcast_in_dim(b, x, _vector(b, 2, 3, 4), (1, 2)),
        np.broadcast_to(X, (2, 3, 4)),
    ),
    "iota": (
        lambda b, x: forms.dynamic_iota(b, _vector(b, 2, 3), 1, I32),
        np.array([[0, 1, 2]] * 2, np.int32),
    ),
    "pad": (
        lambda b, x: forms.dynamic_pad(
            b, x, b.constant(7, F32), _vector(b, 1, 0), _vector(b, 0, -1), _vector(b, 0, 0)
        ),
        np.pad(X, [(1, 0), (0, 0)], constant_values=7)[:, :3],
    ),
    "slice": (
        lambda b, x: forms.real_dynamic_slice(
            b, x, _vector(b, 1, 0), _vector(b, 3, 4), _vector(b, 1, 2)
        ),
        X[1:3, ::2],
    ),
    "size": (
        lambda b, x: forms.get_dimension_size(b, x, 1), np.array(4, np.int32),
    ),
    "map": (
        lambda b, x: forms.map_(b, [x, x], _twice_less_one(b))[0], 2 * X - 1,
    ),
    "barrier": (lambda b, x: forms.optimization_barrier(b, [x])[0], X),
    "conv": (
        lambda b, x: forms.dynamic_conv(
            b, shorthand.reshape(b, x, (1, 3, 4)), b.constant(np.ones((1, 3, 2), np.float32)),
            shorthand.reshape(b, _vector(b, 1, 0), (1, 2)), dict(CONVOLVED),
        ),
        np.array([[[12, 27, 33, 39]]], np.float32),
    ),
    "gather": (
        lambda b, x: forms.dynamic_gather(b, x, _vector(b, 2, 0), _vector(b, 1, 4), dict(ROWS)),
        X[[2, 0]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_known_sizes_give_the_static_op(name: str) -> None:
    make, expected = CASES[name]
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((3, 4), F32))
    (found,) = evaluate(builder.finish([make(builder, x)]), [X])
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_sizes_of_parameters_are_refused() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((3, 4), F32))
    shape = builder.parameter("shape", TensorType((2,), I64))
    with pytest.raises(UnsupportedError, match="dynamic_reshape: its shape %shape depends on"):
        forms.dynamic_reshape(builder, x, shape)
