"""Runs the steps that a file test names, and compares what texts mean before and after."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from filetests.case import Case
from passes.graphs import assert_same_meaning

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.parse import parse_kernel
from tensorkiln.compiler.kernel.rewrite_bind import bind
from tensorkiln.compiler.kernel.rewrite_fuse import fuse_loops
from tensorkiln.compiler.kernel.rewrite_reduction import split_reduction
from tensorkiln.compiler.kernel.rewrite_reorder import reorder
from tensorkiln.compiler.kernel.rewrite_split import split
from tensorkiln.compiler.kernel.rewrite_stage import stage
from tensorkiln.compiler.kernel.rewrite_unroll import unroll
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.kernel.text import print_kernel
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.passes import PASSES
from tensorkiln.runtime.errors import TensorKilnError

Rewrite = Callable[..., Kernel]
REWRITES: Mapping[str, Rewrite] = {
    rewrite.__name__: rewrite
    for rewrite in (bind, fuse_loops, reorder, split, split_reduction, stage, unroll)
}


def run(case: Case) -> str:
    """The text that comes out of a case; an error of ours is text too."""
    compare = case.options.get("compare", "exact")
    if compare not in ("exact", "close", "none"):
        raise ValueError(f"{case.path}: compare is exact, close or none, not {compare!r}")
    steps = [step.strip() for step in case.options.get("run", "").split("|") if step.strip()]
    try:
        if case.text.lstrip().startswith("func"):
            return _run_function(case.text, steps, compare)
        return _run_kernel(case.text, steps, compare)
    except TensorKilnError as error:
        return f"{type(error).__name__}: {error}\n"


def _run_function(text: str, steps: list[str], compare: str) -> str:
    before = parse_function(text)
    verify_function(before, REGISTRY.types)
    after = before
    for name in steps:
        after = _pass_named(name)(after)
        verify_function(after, REGISTRY.types)
    if compare != "none":
        assert_same_meaning(before, after, exact=compare == "exact")
    return print_function(after)


def _pass_named(name: str) -> Callable[[Function], Function]:
    if name not in PASSES:
        raise ValueError(f"no pass is named {name!r}; there are {', '.join(PASSES)}")
    return PASSES[name]


def _run_kernel(text: str, steps: list[str], compare: str) -> str:
    before = parse_kernel(text)
    verify_kernel(before)
    after = before
    for step in steps:
        name, arguments = _call(step)
        after = REWRITES[name](after, *arguments)
        verify_kernel(after)
    if compare != "none":
        assert_same_effect(before, after, exact=compare == "exact")
    return print_kernel(after)


def _call(step: str) -> tuple[str, list[Any]]:
    """`split("i", 4)` as its name and its arguments, which are Python literals."""
    call = ast.parse(step, mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError(f"{step!r} is no call of a rewrite")
    if call.func.id not in REWRITES:
        raise ValueError(f"no rewrite is named {call.func.id!r}; there are {', '.join(REWRITES)}")
    return call.func.id, [ast.literal_eval(argument) for argument in call.args]


def assert_same_effect(before: Kernel, after: Kernel, exact: bool = True, seed: int = 0) -> None:
    """Fails if two kernels leave different bits, or values, in arrays that start equal."""
    assert before.parameters == after.parameters
    assert before.outputs == after.outputs
    rng = np.random.default_rng(seed)
    arrays = []
    for buffer in before.parameters:
        if buffer.dtype.is_float:
            array = rng.normal(size=buffer.shape)
        else:
            array = rng.integers(0, 2 if buffer.dtype == BOOL else 5, buffer.shape)
        arrays.append(np.asarray(array).astype(buffer.dtype.numpy))
    results = [[array.copy() for array in arrays] for _ in range(2)]
    for kernel, own in zip((before, after), results, strict=True):
        interpret(kernel, own)
    for want, got in zip(*results, strict=True):
        if exact:
            assert want.tobytes() == got.tobytes()
        else:
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
