"""Winograd convolutions whose tasks do all three steps: results, threads, where they are chosen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import jit, optimize_function
from tensorkiln.compiler.schedules.program import lower_function
from tensorkiln.frontends.compile import compile_model


def _weights(outputs: int, inputs: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(1).standard_normal((outputs, inputs, 3, 3))
    return (drawn / np.sqrt(9 * inputs)).astype(np.float32)


def _net(batch: int, inputs: int, outputs: int, height: int, width: int) -> Function:
    """A convolution, the larger of its result and a residual."""
    builder = Builder(REGISTRY, "net")
    x = builder.parameter("x", TensorType((batch, inputs, height, width), F32))
    y = builder.one(
        "convolution", (x, builder.constant(_weights(outputs, inputs))), strides=(1, 1),
        padding=((1, 1),) * 2, lhs_dilation=(1, 1), rhs_dilation=(1, 1), reversal=(0, 0),
        lhs_spec=(0, 1, 2, 3), rhs_spec=(0, 1, 2, 3), out_spec=(0, 1, 2, 3), feature_groups=1,
        batch_groups=1,
    )  # fmt: skip
    residual = builder.parameter("r", y.type)
    return builder.finish([builder.one("maximum", (y, residual))], ["y"])


def _direct(image: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weights.astype(np.float64), optimize=True)


@pytest.mark.parametrize(
    ("batch", "inputs", "outputs", "height", "width"),
    [(1, 32, 32, 48, 48),
     (1, 33, 47, 61, 59),  # lanes, panels and tiles that are not whole
     (5, 48, 64, 25, 30),  # blocks that end in another image
     (1, 64, 32, 79, 81)],
)  # fmt: skip
def test_one_kernel_of_equal_bits_on_any_threads(
    batch: int, inputs: int, outputs: int, height: int, width: int
) -> None:
    function = _net(batch, inputs, outputs, height, width)
    rng = np.random.default_rng(0)
    feeds = {v.name: rng.standard_normal(v.shape).astype(np.float32) for v in function.parameters}
    found = []
    for threads in (1, 2, 3, 7):
        executable = jit(function, threads)
        names = [kernel.name for kernel in executable.manifest.kernels]
        assert sum(name.startswith("winograd_convolution_") for name in names) == 1
        found += executable.run(feeds)
    expected = np.maximum(_direct(feeds["x"], _weights(outputs, inputs)), feeds["r"])
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=3e-5)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def _kernels(function: Function) -> set[str]:
    fused = optimize_function(function)
    names = (k.name for k in lower_function(fused, target_named("x86-64-v3")).kernels)
    return {"_".join(name.split("_")[:2]) for name in names if name.startswith("winograd")}


@pytest.mark.parametrize(
    ("batch", "channels", "size", "together"),
    [(1, 64, 56, True), (1, 128, 112, True), (1, 64, 20, False), (4, 64, 28, True),
     (8, 160, 56, False)],
)  # fmt: skip
def test_steps_stay_apart_where_weights_are_large(
    batch: int, channels: int, size: int, together: bool
) -> None:
    names = _kernels(_net(batch, channels, channels, size, size))
    apart = {"winograd_input", "winograd_output"}
    assert names == ({"winograd_convolution"} if together else apart)


def test_scratch_memory_does_not_grow_with_the_image() -> None:
    sizes = []
    for size in (224, 448):
        fused = optimize_function(_net(1, 64, 64, size, size))
        kernels = lower_function(fused, target_named("x86-64-v4")).kernels
        (kernel,) = (k for k in kernels if k.name.startswith("winograd"))
        sizes.append(sum(buffer.elements for buffer in kernel.scratches))
    assert sizes[0] == sizes[1]


def test_infinite_numbers_stay_in_their_tiles() -> None:
    function = _net(1, 32, 32, 48, 48)
    feeds = {v.name: np.zeros(v.shape, np.float32) for v in function.parameters}
    feeds["x"][0, 3, 1, 1] = np.inf
    (y,) = compile_model(function, cache=False).run(feeds)
    assert not np.isfinite(y[0, :, :4, :4]).all()
    assert np.isfinite(y[0, :, 4:, :]).all()
    assert np.isfinite(y[0, :, :, 4:]).all()
