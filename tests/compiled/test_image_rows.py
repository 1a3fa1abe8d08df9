"""Elementwise groups between convolutions, whose rows of the image are shared out."""

from __future__ import annotations

import numpy as np
import pytest
from compiled.check import check, check_interpreted, small_limits

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.program import Program
from tensorkiln.compiler.kernel.stmt import For, LoopKind
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand_windows import convolution
from tensorkiln.compiler.pipeline import lower


def _weights(*shape: int) -> np.ndarray:
    """Whole numbers, whose sums are exact in any order."""
    return np.random.default_rng(len(shape)).integers(-1, 2, shape).astype(np.float32)


def _convolved(b: Builder, x: Value, outputs: int, window: int) -> Value:
    kernel = b.constant(_weights(outputs, x.shape[1], window, window))
    pads = [(window // 2, window // 2)] * 2
    return convolution(b, x, kernel, "NCHW", "OIHW", padding=pads)


def _activated(b: Builder, x: Value) -> Value:
    """A factor for each channel, and a rectifier."""
    scale = b.constant(_weights(x.shape[1]))
    wide = b.one("broadcast_in_dim", (scale,), shape=x.shape, dimensions=(1,))
    zero = b.one("broadcast_in_dim", (b.constant(np.float32(0)),), shape=x.shape, dimensions=())
    return b.one("maximum", (b.one("multiply", (x, wide)), zero))


def dense(batch: int, channels: int, height: int, width: int, window: int = 1) -> Function:
    """Convolutions that read what is before them, activated by kernels of their own."""
    b = Builder(REGISTRY, "net")
    x = b.parameter("x", TensorType((batch, 3, height, width), F32))
    first = _convolved(b, x, channels, 3)
    second = _convolved(b, _activated(b, first), channels, window)
    both = b.one("concatenate", (first, second), dimension=1)
    return b.finish([_convolved(b, _activated(b, both), channels, 1)], ["y"])


CASES = {
    "even rows": dense(1, 32, 14, 9),
    "a prime number of rows": dense(1, 32, 13, 5),
    "two images": dense(2, 32, 3, 7),
    "two rows": dense(1, 32, 2, 30),
    "padded": dense(1, 32, 5, 6, window=5),
}


def shared_out(program: Program) -> int:
    """Calls of elementwise groups whose tasks begin with blocks of rows."""
    bodies = [
        program.kernels[call.kernel].body
        for call in program.calls
        if call.op is not None and call.op.string("kind") == "loops"
    ]
    nests = [body[0] for body in bodies if len(body) == 1 and isinstance(body[0], For)]
    return sum(n.kind is LoopKind.PARALLEL and n.var.name.startswith("task") for n in nests)


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    function = CASES[name]
    check(function, small=True)


@pytest.mark.parametrize("name", CASES)
def test_rows_are_shared_out(name: str) -> None:
    with small_limits():
        program = lower(CASES[name], target_named("x86-64-v4")).program
    assert shared_out(program) >= 2


def test_kernels_write_nothing_outside() -> None:
    check_interpreted(dense(1, 16, 3, 2), "x86-64-v3", small=True)


def test_small_groups_stay_on_one_thread() -> None:
    assert not shared_out(lower(dense(1, 32, 5, 4), target_named("x86-64-v4")).program)
