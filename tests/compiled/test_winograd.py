"""Winograd convolutions: that they are chosen, agree with the direct form, and how exact they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.passes.winograd import winograd
from tensorkiln.compiler.pipeline import jit


def _builder(shape: tuple[int, ...], dtype: DType) -> tuple[Builder, Value]:
    builder = Builder(REGISTRY, "net")
    return builder, builder.parameter("x", TensorType(shape, dtype))


def _convolution(builder: Builder, x: Value, kernel: Value, padding: int = 1) -> Value:
    return builder.one(
        "convolution", (x, kernel), strides=(1, 1), padding=((padding, padding),) * 2,
        lhs_dilation=(1, 1), rhs_dilation=(1, 1), reversal=(0, 0), lhs_spec=(0, 1, 2, 3),
        rhs_spec=(0, 1, 2, 3), out_spec=(0, 1, 2, 3), feature_groups=1, batch_groups=1,
    )  # fmt: skip


def _kernel(outputs: int, inputs: int) -> NDArray[np.float64]:
    return np.random.default_rng(1).standard_normal((outputs, inputs, 3, 3)) / np.sqrt(9 * inputs)


def _chosen(function: Function) -> bool:
    return any(op.name == "winograd_input" for op in winograd(function).ops)


@pytest.mark.parametrize("channels", [32, 64, 256])
def test_the_error_is_within_four_times_that_of_the_direct_form(channels: int) -> None:
    shape, weights = (1, channels, 26, 22), _kernel(32, channels)
    image = np.random.default_rng(0).standard_normal(shape)
    found = {}
    for name, dtype, constant in (("f64", F64, True), ("direct", F32, False), ("tiles", F32, True)):
        builder, x = _builder(shape, dtype)
        given = weights.astype(np.float32).astype(dtype.numpy)
        kernel = (
            builder.constant(given)
            if constant
            else builder.parameter("k", TensorType(given.shape, dtype))
        )
        function = builder.finish([_convolution(builder, x, kernel)])
        assert _chosen(function) == (name == "tiles")
        arrays = {"x": image.astype(np.float32).astype(dtype.numpy)}
        (found[name],) = jit(function).run(arrays if constant else {**arrays, "k": given})
    norm = np.linalg.norm
    direct, tiles = (norm(found[name] - found["f64"]) for name in ("direct", "tiles"))
    assert direct > 0
    assert tiles <= 4 * direct


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 18), (4, 61), (15, 17)])
def test_epilogues_and_residuals_are_fused(height: int, width: int, threads: int) -> None:
    builder, x = _builder((1, 48, height, width), F32)
    weights = _kernel(48, 48).astype(np.float32)
    first = _convolution(builder, x, builder.constant(weights))
    second = _convolution(builder, builder.one("maximum", (first, x)), builder.constant(weights))
    executable = jit(builder.finish([builder.one("add", (second, x))], ["y"]), threads)
    names = [kernel.name for kernel in executable.manifest.kernels]
    assert sum(name.startswith("winograd_output_") for name in names) == 2
    image = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    (y,) = executable.run({"x": image})
    middle = np.maximum(_direct(image, weights), image)
    expected = _direct(middle, weights) + image
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5)


def _direct(image: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weights.astype(np.float64), optimize=True)


@pytest.mark.parametrize(
    ("shape", "outputs", "dtype"),
    [((1, 16, 28, 28), 64, F32),  # few channels
     ((1, 64, 28, 28), 16, F32),
     ((1, 64, 7, 7), 64, F32),  # few tiles
     ((1, 64, 1, 61), 64, F32),  # tiles of which most is not stored
     ((1, 64, 28, 28), 64, F64)],
)  # fmt: skip
def test_where_it_does_not_pay_it_is_not_chosen(
    shape: tuple[int, ...], outputs: int, dtype: DType
) -> None:
    builder, x = _builder(shape, dtype)
    kernel = builder.constant(_kernel(outputs, shape[1]).astype(dtype.numpy))
    assert not _chosen(builder.finish([_convolution(builder, x, kernel)]))
