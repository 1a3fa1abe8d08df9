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
from ops.samples import Sample, assert_agrees

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.schedules.program import lower_function

TARGETS = ("x86-64-v4", "aarch64", "x86-64-v3")
BATCHES = [(TARGETS[k % 3], batch) for k, batch in enumerate(batches(SAMPLES))]


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
