"""Every sample of every op, compiled for this machine, agrees with the interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from ops.samples import Sample, all_samples, assert_agrees, build

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.runtime.errors import UnsupportedError
from tensorkiln.runtime.jit import load_compiled

NARROW = ("f16", "bf16")
SAMPLES = [s for s in all_samples() if s.op != "fusion"]


def is_narrow(sample: Sample) -> bool:
    """True if the sample uses a float type that is only interpreted so far."""
    function = build(sample)
    values = [*function.parameters, *function.results]
    return any(v.dtype.name in NARROW for v in values)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_compiled_agrees_with_the_interpreter(sample: Sample) -> None:
    function = build(sample)
    if is_narrow(sample):
        with pytest.raises(UnsupportedError, match="f16"):
            pipeline.compile_function(function)
        return
    executable = load_compiled(pipeline.compile_function(function), threads=2)
    found = executable.run({v.name: a for v, a in zip(function.parameters, sample.arrays, strict=True)})
    expected = evaluate(function, sample.arrays)
    for array in expected:
        assert dtype_of(np.asarray(array).dtype).name not in NARROW
    assert_agrees(sample, found, expected)
