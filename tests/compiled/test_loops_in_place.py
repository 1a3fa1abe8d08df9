"""Loops write what changes and nothing else: no copy of what they carry, one row of a stack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from compiled.check import check

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, I32
from tensorkiln.compiler.ir.function import Function, Location, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.program import (
    Branch,
    Call,
    Loop,
    Program,
    print_program,
    step_cost,
    walk_calls,
)  # fmt: skip
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import (
    compare,
    dynamic_slice,
    dynamic_update_slice,
    full,
    matmul,
    reshape,
    scalar,
)
from tensorkiln.compiler.ops.shorthand_control import case, while_loop
from tensorkiln.compiler.pipeline import compile_ptx, jit, lower
from tensorkiln.runtime.errors import UnsupportedError

Values = Sequence[Value]
T, B, D, H = 6, 2, 5, 4


def _row(b: Builder, i: Value) -> list[Value]:
    return [i, scalar(b, 0, I32), scalar(b, 0, I32)]


def _recurrence(donated: bool = False) -> Function:
    builder = Builder(REGISTRY)
    xs, w, u, h = (
        builder.parameter(name, TensorType(shape, F32))
        for name, shape in (("xs", (T, B, D)), ("w", (D, H)), ("u", (H, H)), ("h", (B, H)))
    )

    def body(b: Builder, c: Values) -> Values:
        i, h, ys, xs, w, u = c
        x = reshape(b, dynamic_slice(b, xs, _row(b, i), (1, B, D)), (B, D))
        h = b.one("tanh", (b.one("add", (matmul(b, h, u), matmul(b, x, w))),))
        ys = dynamic_update_slice(b, ys, reshape(b, h, (1, B, H)), _row(b, i))
        return [b.one("add", (i, scalar(b, 1, I32))), h, ys, xs, w, u]

    start = [scalar(builder, 0, I32), h, full(builder, (T, B, H), 0, F32), xs, w, u]
    found = while_loop(
        builder, lambda b, c: compare(b, "LT", c[0], scalar(b, T, I32)), body, start, bound=T
    )
    return builder.finish([found[1], found[2]], aliases={0: 3} if donated else {})


def _program(function: Function) -> Program:
    return lower(function, target_named("x86-64-v3")).program


def _names(program: Program, steps: Sequence[object]) -> list[str]:
    return [program.kernels[call.kernel].name for call in walk_calls(steps)]  # type: ignore[arg-type]


@pytest.mark.parametrize("donated", [False, True])
def test_a_recurrence_copies_nothing_in_its_loop(donated: bool) -> None:
    function = _recurrence(donated)
    program = _program(function)
    (loop,) = [step for step in program.steps if isinstance(step, Loop)]
    names = _names(program, loop.body)
    assert "copy" not in names
    assert len(names) == 5
    before = _names(program, program.steps[: program.steps.index(loop)])
    # The counter is copied from its constant; the state is, unless its memory may be used.
    assert before.count("copy") == (1 if donated else 2)
    check(function)


def test_a_row_is_written_and_not_the_whole_stack() -> None:
    program = _program(_recurrence())
    (update,) = [k for k in program.kernels if k.name == "dynamic_update_slice"]
    stack = update.parameters[-1]
    assert stack.shape == (T, B, H)
    (loop,) = [step for step in program.steps if isinstance(step, Loop)]
    call = next(c for c in walk_calls(loop.body) if program.kernels[c.kernel] is update)
    assert call.slots[-1] in call.slots[:-1]


def test_the_cost_of_a_loop_is_that_of_all_trips() -> None:
    program = _program(_recurrence())
    (loop,) = [step for step in program.steps if isinstance(step, Loop)]
    once = sum(call.flops for call in walk_calls([*loop.condition, *loop.body]))
    assert step_cost([loop])[0] == T * once


def test_the_text_of_a_program_shows_loops_and_branches() -> None:
    builder = Builder(REGISTRY)
    x, k = (
        builder.parameter("x", TensorType((3,), F32)),
        builder.parameter("k", TensorType((), I32)),
    )
    with builder.at(Location("choose")):
        (y,) = case(
            builder, k,
            [lambda b, v: [b.one("sine", v)], lambda b, v: [b.one("negate", v)]], [x],
        )  # fmt: skip
    program = _program(builder.finish([y]))
    (branch,) = program.steps
    assert isinstance(branch, Branch)
    assert [type(step) for part in branch.branches for step in part] == [Call, Call]
    text = print_program(program)
    assert "case argument[1] of 1 {  // choose" in text
    assert "while" in print_program(_program(_recurrence()))


def test_an_update_that_is_not_the_last_use_leaves_the_operand() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((9, 4), F32))
    row = builder.parameter("row", TensorType((1, 4), F32))
    at = builder.parameter("at", TensorType((), I32))
    y = builder.one("tanh", (x,))
    z = dynamic_update_slice(builder, y, row, [at, scalar(builder, 0, I32)])
    check(builder.finish([builder.one("add", (z, y)), z]))
    check(builder.finish([dynamic_update_slice(builder, x, row, [at, scalar(builder, 0, I32)])],
                         aliases={0: 0}))  # fmt: skip


def test_loops_run_as_often_as_the_data_say() -> None:
    builder = Builder(REGISTRY)
    n = builder.parameter("n", TensorType((), I32))
    found = while_loop(
        builder,
        lambda b, c: compare(b, "LT", c[0], c[1]),
        lambda b, c: [b.one("add", (c[0], scalar(b, 3, I32))), c[1]],
        [scalar(builder, 0, I32), n],
    )
    run = jit(builder.finish([found[0]]), 1)
    assert [int(run(np.array(k, np.int32))[0]) for k in (-5, 0, 1, 3, 10)] == [0, 0, 3, 3, 12]


def test_a_gpu_refuses_loops_by_name() -> None:
    builder = Builder(REGISTRY)
    n = builder.parameter("n", TensorType((), I32))
    with builder.at(Location("climb")):
        (found,) = while_loop(
            builder,
            lambda b, c: compare(b, "LT", c[0], scalar(b, 5, I32)),
            lambda b, c: [b.one("add", (c[0], scalar(b, 1, I32)))],
            [n],
        )
    with pytest.raises(UnsupportedError, match=r"not for climb \(while\)"):
        compile_ptx(builder.finish([found]))


def test_what_no_trip_changes_is_packed_once() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((32, 64), F32))
    w = builder.parameter("w", TensorType((64, 64), F32))
    found = while_loop(
        builder,
        lambda b, c: compare(b, "LT", c[0], scalar(b, 4, I32)),
        lambda b, c: [
            b.one("add", (c[0], scalar(b, 1, I32))),
            b.one("tanh", (matmul(b, c[1], b.one("transpose", (c[2],), permutation=(1, 0))),)),
            c[2],
        ],
        [scalar(builder, 0, I32), x, w],
    )
    function = builder.finish([found[1]])
    program = _program(function)
    (loop,) = [step for step in program.steps if isinstance(step, Loop)]
    assert {"rearrange", "pack"}.isdisjoint(_names(program, loop.body))
    names = _names(program, program.steps[: program.steps.index(loop)])
    assert {"rearrange", "pack"}.intersection(names)
    check(function)
