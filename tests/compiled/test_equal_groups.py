"""Layers that repeat are scheduled once; those that differ in anything that matters are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.program import Program
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import binary, matmul
from tensorkiln.compiler.pipeline import jit, optimize_function
from tensorkiln.compiler.schedules import program as programs
from tensorkiln.compiler.schedules.equal_groups import EqualGroups

_SIZE = 8


def _layers(count: int, scale: Callable[[int], float] = lambda _: 0.5) -> Function:
    """`count` layers of a product, a sum, a scale and a tanh, the weights parameters."""
    builder = Builder(REGISTRY, "layers")
    y = builder.parameter("x", TensorType((5, _SIZE), F32))
    for layer in range(count):
        w = builder.parameter(f"w{layer}", TensorType((_SIZE, _SIZE), F32))
        y = matmul(builder, y, w)
        factor = builder.constant(np.float32(scale(layer)))
        factor = builder.one("broadcast_in_dim", (factor,), shape=y.type.shape, dimensions=())
        y = builder.one("tanh", (binary(builder, "multiply", y, factor),))
    return builder.finish([y])


def _lowered(function: Function, monkeypatch: pytest.MonkeyPatch) -> tuple[Program, int]:
    """The program, and how many groups were scheduled for it."""
    made: list[object] = []
    schedule = programs.schedule

    def counted(*arguments: object) -> object:
        made.append(arguments)
        return schedule(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(programs, "schedule", counted)
    program = programs.lower_function(optimize_function(function), target_named("x86-64-v3"))
    return program, len(made)


def test_repeated_layers_are_scheduled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    few, made_for_few = _lowered(_layers(3), monkeypatch)
    monkeypatch.undo()
    many, made_for_many = _lowered(_layers(12), monkeypatch)
    assert made_for_many == made_for_few
    assert len(many.kernels) == len(few.kernels) < len(list(many.calls))


def test_other_constants_are_other_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    program, _ = _lowered(_layers(4, lambda layer: 0.0 if layer % 2 else -0.0), monkeypatch)
    same, _ = _lowered(_layers(4), monkeypatch)
    assert len(program.kernels) > len(same.kernels)


def test_what_is_merged_gives_what_the_interpreter_gives() -> None:
    function = _layers(6, lambda layer: 0.5 if layer % 3 else 0.25)
    draw = np.random.default_rng(0)
    arrays = [draw.standard_normal(v.shape).astype(np.float32) for v in function.parameters]
    (wanted,) = evaluate(function, arrays)
    (got,) = jit(function, 1)(*arrays)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def _group(
    op: str, dtype: TensorType, operands: int = 2, swapped: bool = False, **attributes: int | str
) -> tuple[Function, Value]:
    """A fused function of one group."""
    builder = Builder(REGISTRY, "group")
    values = [builder.parameter(f"p{k}", dtype) for k in range(operands)]
    chosen = values[::-1] if swapped else values
    y = builder.one(op, tuple(chosen), **attributes)
    return optimize_function(builder.finish([y])), y


def test_every_difference_that_matters_is_one() -> None:
    """Types, op and attributes tell groups apart; names do not."""
    small, large = TensorType((3, 4), F32), TensorType((4, 3), F32)
    functions = [
        _group("add", small)[0],
        _group("add", large)[0],
        _group("add", TensorType((3, 4), F64))[0],
        _group("subtract", small)[0],
        _group("subtract", small, swapped=True)[0],
        _group("cumulative", small, 1, reducer="add", dimension=0, exclusive=False, reverse=False)[
            0
        ],
        _group("cumulative", small, 1, reducer="add", dimension=1, exclusive=False, reverse=False)[
            0
        ],
        _group("add", small)[0],
    ]
    equal, made = EqualGroups(), []
    for number, function in enumerate(functions):
        (fusion,) = [op for op in function.ops if op.name == "fusion"]
        kernel = programs.schedule(
            fusion.string("kind"), programs.group_of(fusion, {}), target_named("x86-64-v3")
        )
        found = equal.kernel(fusion, {}, (), lambda kernel=kernel: kernel)  # type: ignore[misc]
        if found is kernel:
            made.append(number)
    # a group's operands are in the order in which it reads them: the swapped one is equal
    assert made == [0, 1, 2, 3, 5, 6]
