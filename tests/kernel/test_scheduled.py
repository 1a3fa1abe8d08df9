"""What the schedules make of the op samples is well formed and reads back, as is every function."""

from __future__ import annotations

import pytest
from ops.samples import Sample, all_samples, build

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.kernel.parse import parse_kernel
from tensorkiln.compiler.kernel.text import print_kernel
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.pipeline import finish_kernel, optimize_function
from tensorkiln.compiler.schedules.program import lower_function

TARGET = target_named("host")
SAMPLES = all_samples()[::7]


@pytest.mark.parametrize("sample", SAMPLES, ids=[s.name for s in SAMPLES])
def test_samples(sample: Sample):
    function = build(sample)
    fused = optimize_function(function)
    for stage in (function, fused):
        verify_function(stage, REGISTRY.types)
        text = print_function(stage)
        assert print_function(parse_function(text)) == text
    for scheduled in lower_function(fused, TARGET).kernels:
        for kernel in (scheduled, finish_kernel(TARGET)(scheduled)):
            verify_kernel(kernel)
            text = print_kernel(kernel)
            assert print_kernel(parse_kernel(text)) == text
