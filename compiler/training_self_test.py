"""Test vectors for training artifacts: steps and predictions in turn, and the state after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.self_test import (
    Point,
    disagreement,
    first_finite,
    named,
    points_of,
    runs_here,
    sample,
    specs_of,
    tolerance,
    values_at,
    vector_inputs,
)
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.runtime.compiled import Compiled, Sample, SelfTest, VectorCall
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import opened

# builds the model for given sizes
MakeTraining: TypeAlias = Callable[[Mapping[str, int]], TrainingModel]
# runs a function of the model on arrays in the order of its parameters
_Call: TypeAlias = "Callable[[Function, Sequence[Array]], Sequence[Array]]"


def make_training_self_test(
    make: MakeTraining, step: Sequence[Compiled], predict: Sequence[Compiled], seed: int = 1
) -> SelfTest:
    """Vectors of a step and a prediction at each of some sizes, twice where there is one size.

    Elements that rounding moves far (Adam divides by gradients that may cancel) are no test: a
    second interpretation starts from a state that is off by its last bits, and what differs much
    between the two is not sampled. ArtifactError if compiled code that runs here does not pass.
    """
    points = _points(step[0], predict[0])
    models = [make({**_sizes(step[0], a), **_sizes(predict[0], b)}) for a, b in points]
    state = models[0].state
    limit, wanted = first_finite(lambda limit: _rows(models, state, evaluate, seed, limit))
    moved = _rows(models, shaken(state), evaluate, seed, limit)
    samples = [
        tuple(sample(a, steady(a, b)) for a, b in zip(row, other, strict=True))
        for row, other in zip(wanted, moved, strict=True)
    ]
    for versions in zip(step, predict, strict=True):
        if all(map(runs_here, versions)):
            _check(models, versions, samples, seed, limit)
    calls = [
        VectorCall(_FUNCTIONS[k % 2], points[k // 2][k % 2], row)
        for k, row in enumerate(samples[:-1])
    ]
    return SelfTest(seed, tuple(calls), limit, samples[-1])


_FUNCTIONS = ("train_step", "predict")


def _points(step: Compiled, predict: Compiled) -> list[tuple[Point, Point]]:
    """The sizes of a step and of the prediction after it, for two steps at least."""
    each = [points_of(compiled.manifest.sizes) for compiled in (step, predict)]
    count = max(2, *map(len, each))
    first, second = ([points[min(k, len(points) - 1)] for k in range(count)] for points in each)
    return list(zip(first, second, strict=True))


def _sizes(compiled: Compiled, point: Point) -> dict[str, int]:
    return named(compiled.manifest.sizes, point)


def _rows(
    models: Sequence[TrainingModel], state: Mapping[str, Array], call: _Call, seed: int, limit: int
) -> list[list[Array]]:
    """What a step and a prediction of each model give, in turn, and at last the state."""
    current = dict(state)
    rows: list[list[Array]] = []
    for model in models:
        for function in (model.step, model.predict):
            fed = [spec for spec in specs_of(function) if spec.name not in state]
            values = current | dict(
                zip((s.name for s in fed), vector_inputs(fed, seed, limit), strict=True)
            )
            results = call(function, [values[v.name] for v in function.parameters])
            rows.append([np.array(a) for k, a in enumerate(results) if k not in function.aliases])
            for position, parameter in function.aliases.items():
                current[function.parameters[parameter].name] = np.array(results[position])
    used = models[0].used_state()
    return [*rows, [current[name] for name in used]]


def shaken(state: Mapping[str, Array], seed: int = 0) -> dict[str, Array]:
    """The state with the last bit or two of its floats changed, upwards or downwards by `seed`."""
    generator = np.random.default_rng(seed)
    moved = {}
    for name, array in state.items():
        moved[name] = array
        if dtype_of(array.dtype).is_float:
            eps = float(ml_dtypes.finfo(array.dtype).eps)  # type: ignore[no-untyped-call]
            factors = 1.0 + eps * generator.choice((-1.0, 1.0), array.shape)
            moved[name] = (array.astype(np.float64) * factors).astype(array.dtype)
    return moved


def steady(array: Array, moved: Array) -> NDArray[np.bool_]:
    """Which elements (flat) rounding does not move further than an eighth of what is allowed."""
    a, b = (x.reshape(-1).astype(np.float64) for x in (array, moved))
    with np.errstate(invalid="ignore"):
        near: NDArray[np.bool_] = (a == b) | (np.abs(a - b) <= tolerance(array) / 8)
    return near


def _check(
    models: Sequence[TrainingModel],
    versions: tuple[Compiled, Compiled],
    samples: Sequence[Sequence[Sample]],
    seed: int,
    limit: int,
) -> None:
    """ArtifactError if compiled code is not what the samples say."""
    step, predict = (opened(load_compiled(version)) for version in versions)

    def call(function: Function, arrays: Sequence[Array]) -> Sequence[Array]:
        return (step if function.aliases else predict)(*arrays)

    rows = _rows(models, models[0].state, call, seed, limit)
    for number, (row, wanted) in enumerate(zip(rows, samples, strict=True)):
        manifest = versions[number % 2].manifest if number < len(rows) - 1 else versions[0].manifest
        for position, (array, expected) in enumerate(zip(row, wanted, strict=True)):
            values = values_at(array, expected.positions)
            with np.errstate(invalid="ignore"):
                apart = np.abs(values - np.array(expected.values))
            wrong = ~(
                (apart <= expected.tolerance) | (np.isnan(values) & np.isnan(expected.values))
            )
            if wrong.any():
                what = f"number {position}" if number < len(rows) - 1 else "the state"
                text = f"{values[wrong][0]} is not {np.array(expected.values)[wrong][0]}"
                raise disagreement(manifest, what, (), text)
