"""Ops whose sizes are operands are the static ops where the sizes follow from constants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tensorkiln.compiler.evaluate import dynamic_forms as forms
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, I32, I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
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
