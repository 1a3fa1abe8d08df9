"""The programs of the op samples, interpreted: valid kernels, no access out of bounds, right values.

The kernel interpreter checks every index; memory that nobody wrote is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from compiled.batches import (
    SAMPLES,
    arrays_of,
    batch_name,
    batches,
    build_batch,
    shares,
)  # fmt: skip
from ops.samples import Sample, assert_agrees, build

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.schedules.program import lower_function

TARGETS = ("x86-64-v4", "aarch64", "x86-64-v3")
# Kernels of these are serial where the interpreter is slow: an iteration at a time.
SERIAL, MOST_FLOPS = ("attention", "fft", "recurrence"), 25_000


def _is_short(sample: Sample) -> bool:
    op = build(sample).ops[-1]
    return op.name not in SERIAL or REGISTRY[op.name].cost(op).flops <= MOST_FLOPS


SHORT = [sample for sample in SAMPLES if _is_short(sample)]
BATCHES = [(TARGETS[k % 3], batch) for k, batch in enumerate(batches(SHORT))]


def test_every_op_is_among_the_short_ones() -> None:
    assert {sample.op for sample in SHORT} == {sample.op for sample in SAMPLES}


@pytest.mark.parametrize(
    ("name", "batch"), BATCHES, ids=[f"{name}-{batch_name(batch)}" for name, batch in BATCHES]
)
def test_program_means_what_the_function_means(name: str, batch: Sequence[Sample]) -> None:
    target = target_named(name)
    function = build_batch(batch)
    program = lower_function(pipeline.optimize_function(function), target)
    finish = pipeline.finish_kernel(target)
    for kernel in program.kernels:
        verify_kernel(kernel)
        verify_kernel(finish(kernel))
    arrays = arrays_of(batch)
    found = [np.zeros(v.type.sizes, v.dtype.numpy) for v in function.results]
    interpret_program(program, [*map(np.ascontiguousarray, arrays), *found])
    expected = evaluate(function, arrays)
    for (sample, got), (_, want) in zip(shares(batch, found), shares(batch, expected), strict=True):
        assert_agrees(sample, got, want)
