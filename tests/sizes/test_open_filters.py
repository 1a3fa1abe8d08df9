"""Gradients of filters over images of open height and width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from sizes.checked_parts import check_bounds
from sizes.open_functions import ONE_PART, Make, check, check_interpreted

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.runtime.errors import UnsupportedError

NHWC = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))


def _convolution(
    builder: Builder, x: Value, kernel: Value, stride: int, padding: tuple[int, int],
    dilation: int = 1, groups: int = 1,
) -> Value:  # fmt: skip
    lhs, rhs, out = NHWC
    return builder.one(
        "convolution", (x, kernel), strides=(stride, 1), padding=(padding, (1, 1)),
        lhs_dilation=(1, 1), rhs_dilation=(dilation, 1), reversal=(0, 0), lhs_spec=lhs,
        rhs_spec=rhs, out_spec=out, feature_groups=groups, batch_groups=1,
    )  # fmt: skip


def _step(
    builder: Builder, shape: tuple[int, ...], kernel: tuple[int, ...], stride: int,
    padding: tuple[int, int], dilation: int = 1, groups: int = 1,
) -> Sequence[Value]:  # fmt: skip
    """Two convolutions, a sum of squares, and its gradients by image and filters."""
    x = builder.parameter("x", TensorType(shape, F32))
    first = builder.parameter("k", TensorType(kernel, F32))
    second = builder.parameter("l", TensorType((3, 3, kernel[3], 2), F32))
    made = _convolution(builder, x, first, stride, padding, dilation, groups)
    made = builder.one("tanh", (made,))
    made = _convolution(builder, made, second, 1, (1, 1))
    loss = op.reduce_sum(builder, op.binary(builder, "multiply", made, made), (0, 1, 2, 3))
    one = op.scalar(builder, 1.0, F32)
    found = differentiate(builder, [loss], [x, first, second], [one])
    return [loss, *(value for value in found if value is not None)]


def plain(builder: Builder, n: int, b: int) -> Sequence[Value]:
    return _step(builder, (2, n + 2, b + 1, 3), (3, 3, 3, 4), 1, (1, 1))


def strided(builder: Builder, n: int, b: int) -> Sequence[Value]:
    return _step(builder, (2, n + 4, b + 1, 3), (3, 3, 3, 4), 2, (1, 0))


def dilated(builder: Builder, n: int, b: int) -> Sequence[Value]:
    return _step(builder, (1, n + 4, b + 1, 3), (2, 3, 3, 4), 3, (0, 2), 2)


def grouped(builder: Builder, n: int, b: int) -> Sequence[Value]:
    return _step(builder, (2, n + 2, b + 1, 4), (3, 3, 1, 8), 2, (1, 1), 1, 4)


def images(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """The number of images is open as well."""
    return _step(builder, (b, n + 2, 5, 3), (3, 3, 3, 4), 2, (1, 1))


CASES: Mapping[str, Make] = {
    "plain": plain,
    "strided": strided,
    "dilated": dilated,
    "grouped": grouped,
    "images": images,
}
FEW = ((1, 2), (2, 3), (5, 2), (7, 5), (8, 4), (9, 5))


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    check(CASES[name], 5e-4, FEW[1:], ONE_PART)


@pytest.mark.parametrize("name", CASES)
def test_at_capacity(name: str) -> None:
    check_interpreted(CASES[name], 5e-4, FEW)


@pytest.mark.parametrize("name", ["strided"])
def test_every_access_is_inside(name: str) -> None:
    check_bounds(CASES[name], ONE_PART, [{"n": n, "b": b} for n, b in FEW[1:]], 5e-4)


def test_padding_that_moves_is_refused() -> None:
    def make(builder: Builder, n: int, b: int) -> Sequence[Value]:
        total = max((-(-(n + 4) // 2) - 1) * 2 + 3 - (n + 4), 0)
        low = total // 2 + n % 2
        return _step(builder, (2, n + 4, 5, 3), (3, 3, 3, 4), 2, (low, total + 1))

    with pytest.raises(UnsupportedError, match="range of n, b"):
        check(make)
