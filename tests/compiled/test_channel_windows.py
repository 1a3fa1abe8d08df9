"""Windows along channels (local response normalization) of images in blocks of channels."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import jit, optimize_function
from tensorkiln.compiler.schedules.layouts import assign_layouts
from tensorkiln.compiler.schedules.program import lower_function


def normalized(channels: int, size: int, window: int, also_read: bool = False) -> Function:
    """A 3x3 convolution of 3 channels, divided by a power of what lies around in its channels."""
    b = Builder(REGISTRY, "net")
    x = b.parameter("x", TensorType((1, 3, size, size + 3), F32))
    rng = np.random.default_rng(0)
    y = b.one(
        "convolution", (x, b.constant(rng.standard_normal((channels, 3, 3, 3)).astype(np.float32))),
        strides=(1, 1), padding=((1, 1), (1, 1)), lhs_dilation=(1, 1), rhs_dilation=(1, 1),
        reversal=(0, 0), lhs_spec=(0, 1, 2, 3), rhs_spec=(0, 1, 2, 3), out_spec=(0, 1, 2, 3),
        feature_groups=1, batch_groups=1,
    )  # fmt: skip

    def filled(value: float):
        return b.one("broadcast_in_dim", (b.constant(np.float32(value)),), shape=y.shape,
                     dimensions=())  # fmt: skip

    squares = b.one("multiply", (y, y))
    before = (window - 1) // 2
    sums = b.one(
        "reduce_window", (squares,), window=(1, window, 1, 1), strides=(1, 1, 1, 1),
        base_dilations=(1, 1, 1, 1), window_dilations=(1, 1, 1, 1),
        padding=((0, 0), (before, window - 1 - before), (0, 0), (0, 0)), reducer="add",
    )  # fmt: skip
    power = b.one("power", (b.one("add", (sums, filled(2.0))), filled(0.75)))
    result = b.one("divide", (y, power))
    results = [result, b.one("add", (squares, result))] if also_read else [result]
    return b.finish(results, ["y", "z"][: len(results)])


CASES = {
    "five channels": normalized(32, 7, 5),
    "an even number": normalized(32, 5, 4),
    "more than a block": normalized(48, 4, 33),
    "channels that do not fill blocks": normalized(20, 6, 5),
    "squares that others read": normalized(32, 6, 3, also_read=True),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    function = CASES[name]
    x = np.random.default_rng(1).standard_normal(function.parameters[0].shape).astype(np.float32)
    first, second = (jit(function, threads=threads).run({"x": x}) for threads in (1, 3))
    for got, same, want in zip(first, second, evaluate(function, [x]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(got, same)


def test_the_kernels_bounds() -> None:
    """Interpreted, where a place outside of a buffer is an error."""
    function = normalized(16, 1, 3)
    program = lower_function(optimize_function(function), target_named("x86-64-v3"))
    x = np.random.default_rng(1).standard_normal(function.parameters[0].shape).astype(np.float32)
    found = [np.zeros(v.shape, np.float32) for v in function.results]
    interpret_program(program, [x, *found])
    np.testing.assert_allclose(found[0], evaluate(function, [x])[0], rtol=1e-4, atol=1e-5)


def test_what_the_window_reads_has_its_channels_side_by_side() -> None:
    laid_out = assign_layouts(optimize_function(CASES["five channels"]), target_named("x86-64-v4"))
    reduced = next(o for o in laid_out.function.ops if o.attributes.get("kind") == "reduce")
    found = [str(laid_out.layouts[v]) for v in (*reduced.operands, *reduced.results)]
    assert sorted(found) == ["0123:1b16", "0123:1b16", "0231"]
