"""Winograd convolutions: that they are chosen, agree with the direct form, and how exact they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tensorkiln.compiler.cache_key import function_key
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.passes.winograd import winograd
from tensorkiln.compiler.pipeline import jit, optimize_function, passes_without
from tensorkiln.compiler.schedules.program import lower_function
from tensorkiln.frontends.compile import compile_model


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


def _errors(channels: int) -> tuple[float, float]:
    """The errors of the direct form and of Winograd's in f32, against the direct form in f64."""
    shape, weights = (1, channels, 26, 22), _kernel(32, channels)
    image = np.random.default_rng(0).standard_normal(shape)
    found = {}
    for name, dtype in (("f64", F64), ("direct", F32), ("tiles", F32)):
        builder, x = _builder(shape, dtype)
        kernel = builder.constant(weights.astype(np.float32).astype(dtype.numpy))
        function = builder.finish([_convolution(builder, x, kernel)])
        chosen = name == "tiles"
        assert _chosen(function) == (dtype is F32)
        executable = compile_model(function, cache=False, winograd=chosen)
        kernels = [kernel.name for kernel in executable.manifest.kernels]
        assert any("winograd" in name for name in kernels) == chosen
        (found[name],) = executable.run({"x": image.astype(np.float32).astype(dtype.numpy)})
    norm = np.linalg.norm
    direct, tiles = (norm(found[name] - found["f64"]) for name in ("direct", "tiles"))
    return float(direct), float(tiles)


# The error over that of the direct form, as docs/math.md tells it.
RATIOS = {32: 2.8, 64: 2.5, 256: 2.4}


@pytest.mark.parametrize("channels", RATIOS)
def test_the_error_is_within_four_times_that_of_the_direct_form(channels: int) -> None:
    direct, tiles = _errors(channels)
    assert direct > 0
    assert tiles <= 4 * direct
    if target_named("host").lanes(32) == 16:
        assert tiles / direct == pytest.approx(RATIOS[channels], abs=0.1)


def test_the_documents_tell_the_measured_errors() -> None:
    text = (Path(__file__).parents[2] / "docs" / "math.md").read_text()
    row = " | ".join(map(str, RATIOS.values()))
    assert f"| {' | '.join(map(str, RATIOS))} |" in text
    assert f"| {row} |" in text


@pytest.mark.parametrize("channels", [1024, 2048])
def test_rows_of_channels_do_not_share_the_sets_of_a_cache(channels: int) -> None:
    builder, x = _builder((1, channels, 20, 20), F32)
    weights = np.random.default_rng(0).integers(-1, 2, (48, channels, 3, 3)).astype(np.float32)
    function = builder.finish([_convolution(builder, x, builder.constant(weights))])
    (kernel,) = (
        k
        for k in lower_function(optimize_function(function), target_named("x86-64-v4")).kernels
        if "winograd_input" in k.name
    )
    assert kernel.written[0].shape[-1] == channels + 16
    image = np.random.default_rng(1).integers(-1, 2, x.shape).astype(np.float32)
    (y,) = jit(function).run({"x": image})
    np.testing.assert_allclose(y, _direct(image, weights), rtol=0, atol=1e-2)


def test_with_and_without_are_different_models_to_the_cache() -> None:
    builder, x = _builder((1, 64, 28, 28), F32)
    kernel = builder.constant(_kernel(64, 64).astype(np.float32))
    function = builder.finish([_convolution(builder, x, kernel)])
    target = target_named("host")
    assert function_key(function, target) != function_key(function, target, ["winograd"])


@pytest.mark.parametrize("name", ["fuse", "no_such_pass"])
def test_what_must_run_cannot_be_left_out(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is no pass that can be left out"):
        passes_without([name])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 18), (4, 61), (15, 17), (12, 12)])
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


def test_nine_tiles_are_enough() -> None:
    builder, x = _builder((1, 64, 12, 12), F32)
    kernel = builder.constant(_kernel(64, 64).astype(np.float32))
    assert _chosen(builder.finish([_convolution(builder, x, kernel)]))
