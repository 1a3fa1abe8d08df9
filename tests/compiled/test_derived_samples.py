"""Ops on the dtypes that the table of samples leaves out, compiled for the x86 levels.

Each use is compiled for one of the levels, all of them for each with `--whole-table`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from compiled.batches import arrays_of, assert_shares_agree, batch_name, batches, build_batch
from ops.derived import accepts, derived_samples, use_of
from ops.samples import Sample, all_samples, build

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import DTYPES
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.processor import architecture, missing_features

LEVELS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4")
DERIVED = derived_samples()
CASES = [
    pytest.param(level, batch, id=f"{level}-{batch_name(batch)}")
    for k, level in enumerate(LEVELS)
    for batch in batches(DERIVED[k :: len(LEVELS)], 48)
]


def run_batch(level: str, batch: Sequence[Sample]) -> None:
    function, arrays, target = build_batch(batch), arrays_of(batch), target_named(level)
    executable = load_compiled(pipeline.compile_function(function, target), threads=1)
    found = executable.run({v.name: a for v, a in zip(function.parameters, arrays, strict=True)})
    assert_shares_agree(batch, found, evaluate(function, arrays), target)


def skip_unless_it_runs(level: str) -> None:
    if architecture() != "x86_64" or missing_features(target_named(level).features):
        pytest.skip(f"this machine does not run code for {level}")


@pytest.mark.parametrize(("level", "batch"), CASES)
def test_level_agrees_with_the_interpreter(level: str, batch: Sequence[Sample]) -> None:
    skip_unless_it_runs(level)
    run_batch(level, batch)


@pytest.mark.parametrize("level", LEVELS)
def test_all_of_them_agree(level: str, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--whole-table"):
        pytest.skip("minutes of work: pytest --whole-table")
    skip_unless_it_runs(level)
    for batch in batches(DERIVED, 48):
        run_batch(level, batch)


def test_text_reads_back() -> None:
    for sample in DERIVED:
        text = print_function(build(sample))
        assert print_function(parse_function(text)) == text


def test_nothing_that_moves_data_lacks_a_dtype() -> None:
    uses = {use_of(sample) for sample in (*all_samples(), *DERIVED)}
    dtypes = {(op, dtype) for op, found in uses for dtype in found}
    moving = ("transpose", "reshape", "slice", "concatenate", "pad", "gather", "dynamic_slice")
    assert not [(op, dtype) for op in moving for dtype in DTYPES if (op, dtype) not in dtypes]


def test_derived_samples_are_accepted_ones() -> None:
    assert all(map(accepts, DERIVED))
