"""Every sample of every op, compiled for this machine, agrees with the interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from compiled.batches import SAMPLES, arrays_of, batch_name, batches, build_batch, shares
from ops.samples import Sample, assert_agrees

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.runtime.jit import load_compiled


@pytest.mark.parametrize("batch", batches(SAMPLES), ids=batch_name)
def test_compiled_agrees_with_the_interpreter(batch: Sequence[Sample]) -> None:
    function = build_batch(batch)
    arrays = arrays_of(batch)
    executable = load_compiled(pipeline.compile_function(function), threads=2)
    found = executable.run({v.name: a for v, a in zip(function.parameters, arrays, strict=True)})
    expected = evaluate(function, arrays)
    for (sample, got), (_, want) in zip(shares(batch, found), shares(batch, expected), strict=True):
        assert_agrees(sample, got, want)
