"""A model at capacity computes what the model of a call's sizes does, whatever lies beyond."""

from __future__ import annotations

import numpy as np
import pytest
from sizes.open_functions import used_part
from sizes.open_models import CASES, Case, random_inputs

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.program import lower_function
from tensorkiln.compiler.sizes.bound import Bounded, bound
from tensorkiln.compiler.sizes.factors import is_open
from tensorkiln.frontends.onnx import import_model


def at(case: Case, sizes: dict[str, int]) -> Function:
    return import_model(case.model, dims=sizes)


def bounded(case: Case) -> Bounded:
    symbols = [Symbol(name, *ends) for name, ends in case.ranges.items()]
    tops = {name: top for name, (_, top) in case.ranges.items()}
    return bound(lambda point: at(case, dict(point)), symbols, tops)


@pytest.mark.parametrize("name", CASES)
def test_the_function_at_capacity_ignores_what_is_not_in_use(name: str) -> None:
    case = CASES[name]()
    whole = bounded(case)
    verify_function(whole.function, REGISTRY.types)
    for sizes in case.points:
        function = at(case, sizes)
        arrays = random_inputs([p.shape for p in function.parameters])
        full = []
        for parameter, array in zip(whole.function.parameters, arrays, strict=False):
            poisoned = np.full(parameter.shape, np.nan, np.float32)
            poisoned[tuple(slice(0, n) for n in array.shape)] = array
            full.append(poisoned)
        full += [np.array(sizes[s.name], np.int32) for s in whole.symbols]
        with np.errstate(all="ignore"):
            results = evaluate(whole.function, full)
        for got, dims, wanted in zip(
            results, whole.outputs, evaluate(function, arrays), strict=True
        ):
            used = used_part(got, dims, sizes)
            np.testing.assert_allclose(used, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["mean", "joined"])
def test_the_program_reads_and_writes_what_is_in_use(name: str) -> None:
    case = CASES[name]()
    whole = bounded(case)
    program = lower_function(optimize_function(whole.function), target_named("host"), whole)
    for kernel in program.kernels:
        verify_kernel(kernel)
    for sizes in case.points[:3]:
        function = at(case, sizes)
        arrays = random_inputs([p.shape for p in function.parameters])
        arguments = []
        for parameter, dims, array in zip(
            whole.function.parameters, whole.inputs, arrays, strict=False
        ):
            if any(map(is_open, dims)):  # dense at its own size, nothing of use behind
                dense = np.full(parameter.shape, np.nan, np.float32).reshape(-1)
                dense[: array.size] = array.reshape(-1)
                arguments.append(dense)
            else:
                arguments.append(array)
        arguments += [np.array(sizes[s.name], np.int32) for s in whole.symbols]
        untouched = np.float32(-77)
        outs = [
            np.full(r.shape, untouched, np.float32).reshape(-1 if any(map(is_open, d)) else r.shape)
            for r, d in zip(whole.function.results, whole.outputs, strict=True)
        ]
        interpret_program(program, [*arguments, *outs])
        for got, wanted in zip(outs, evaluate(function, arrays), strict=True):
            flat = got.reshape(-1)
            np.testing.assert_allclose(
                flat[: wanted.size], wanted.reshape(-1), rtol=1e-4, atol=1e-5
            )
            assert (flat[wanted.size :] == untouched).all()
