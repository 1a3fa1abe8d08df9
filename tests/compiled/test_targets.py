"""A representative part of the op samples on every x86 level that this machine can run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from compiled.batches import (
    SAMPLES,
    arrays_of,
    assert_shares_agree,
    batch_name,
    batches,
    build_batch,
    representative,
)  # fmt: skip
from compiled.objects import foreign_symbols
from ops.samples import Sample

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.processor import architecture, missing_features

# Each machine takes other dtypes; the one that lacks most takes most.
PARTS = {"x86-64": (0, 2, 3), "x86-64-v2": (1,), "x86-64-v3": (0,), "x86-64-v4": (2,)}
CASES = [
    pytest.param(name, batch, id=f"{name}-{batch_name(batch)}")
    for name, kinds in PARTS.items()
    for batch in batches(representative(SAMPLES, *kinds), 48)
]


@pytest.mark.parametrize(("name", "batch"), CASES)
def test_target_agrees_with_the_interpreter(name: str, batch: Sequence[Sample]) -> None:
    target = target_named(name)
    if architecture() != "x86_64" or missing_features(target.features):
        pytest.skip(f"this machine does not run code for {name}")
    function = build_batch(batch)
    arrays = arrays_of(batch)
    compiled = pipeline.compile_function(function, target)
    assert foreign_symbols(compiled.object_code) == set()
    executable = load_compiled(compiled, threads=2)
    found = executable.run({v.name: a for v, a in zip(function.parameters, arrays, strict=True)})
    expected = evaluate(function, arrays)
    assert_shares_agree(batch, found, expected, target)
