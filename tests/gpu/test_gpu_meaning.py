"""GPU kernels mean what their functions mean: run by the kernel interpreter, blocks and all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gpu.graphs import CASES, Case
from gpu.simulate import assert_close, lowered, simulate
from ops.samples import Sample, all_samples, assert_agrees, build

from tensorkiln.compiler.codegen.nvptx_target import gpu_target
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.kernel.stmt import Barrier, For, LoopKind, walk
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Composite
from tensorkiln.compiler.pipeline import finish_kernel
from tensorkiln.runtime.errors import UnsupportedError

TOLERANCE = 2e-6
EVERY = 11  # of the table of samples; interpreting all of them takes half a minute


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_kernels_agree_with_the_interpreter(case: Case) -> None:
    function, arrays = case.function(), case.arrays()
    expected = [np.array(array) for array in evaluate(function, arrays)]
    assert_close(simulate(lowered(function), function, arrays), expected, TOLERANCE)


@pytest.mark.parametrize("name", ["softmax", "layer norm", "broadcast of a row"])
def test_so_do_the_kernels_that_are_emitted(name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    function, arrays = case.function(), case.arrays()
    program = lowered(function)
    finish = finish_kernel(gpu_target("sm_80"))
    finished = replace(program, kernels=tuple(map(finish, program.kernels)))
    assert finished.kernels != program.kernels
    assert_close(simulate(finished, function, arrays), evaluate(function, arrays), TOLERANCE)


@pytest.mark.parametrize("sample", all_samples()[::EVERY], ids=lambda sample: sample.name)
def test_samples_agree_or_are_refused(sample: Sample) -> None:
    function = build(sample)
    try:
        program = lowered(function)
    except UnsupportedError as error:
        assert _names_an_op(str(error), sample)  # noqa: PT017
        return
    assert_agrees(
        sample, simulate(program, function, sample.arrays), evaluate(function, sample.arrays)
    )


def _names_an_op(message: str, sample: Sample) -> bool:
    """True if the message names the op; one made of others is refused by the name of those."""
    (op,) = build(sample).ops
    made_of_others = isinstance(REGISTRY[op.name].lowering, Composite) or any(
        v.dtype.is_complex for v in (*op.operands, *op.results)
    )
    return made_of_others or sample.op in message or "dot_general" in message


def test_families_use_blocks_threads_and_barriers_as_they_should() -> None:
    found = {case.name: lowered(case.function()).kernels for case in CASES}
    for kernels in found.values():
        for kernel in kernels:
            kinds = [getattr(stmt, "kind", None) for stmt in walk(kernel.body)]
            assert kinds.count(LoopKind.BLOCK) == 1
            assert kinds.count(LoopKind.THREAD) == 1
    barriers = {
        name: sum(isinstance(s, Barrier) for k in kernels for s in walk(k.body))
        for name, kernels in found.items()
    }
    assert barriers["softmax"] == 12  # two trees over 32 threads, 1 + 5 barriers each
    assert barriers["column sums"] == barriers["vectors of four"] == 0
    assert barriers["column sums of long columns"] == 7  # a tree over 64 threads


def test_vectors_are_used_where_rows_divide() -> None:
    widths = {
        case.name: [
            stmt.var.extent
            for kernel in lowered(case.function()).kernels
            for stmt in walk(kernel.body)
            if isinstance(stmt, For) and stmt.kind is LoopKind.VECTOR
        ]
        for case in CASES[:7]
    }
    assert widths["vectors of four"] == [4]
    assert widths["vectors of two"] == [2]
    assert widths["broadcast of a row"] == widths["transposed operand"] == [1]
    assert widths["edges padded"] == [1]
