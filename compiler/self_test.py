"""Test vectors for artifacts: samples of what the interpreter makes of generated inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.agreement import MODEL_FACTOR, gap, limit_of
from tensorkiln.compiler.codegen.vectors import vector_input
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.sizes.samples import Make
from tensorkiln.runtime.compiled import Compiled, Sample, SelfTest, VectorCall
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.manifest import Manifest, TensorSpec
from tensorkiln.runtime.open_executable import opened
from tensorkiln.runtime.open_sizes import OpenSizes
from tensorkiln.runtime.processor import architecture, missing_features

SAMPLES = 64  # of each output
# Integers among the inputs may be classes or rows of a table: the first limit that gives numbers.
LIMITS = (10, 5, 2, 1)

Point: TypeAlias = "tuple[int, ...]"


def make_self_test(make: Make, compiled: Sequence[Compiled], seed: int = 1) -> SelfTest:
    """The vectors of the function that `make` builds, which all of `compiled` that run here pass.

    `make` is given sizes where the compiled model has open ones, else nothing: then there is a call
    for the least sizes, the greatest, and others (`points_of`). ArtifactError if one does not pass: then
    compiled code and interpreter disagree.
    """
    sizes = compiled[0].manifest.sizes
    points = points_of(sizes)
    functions = [make(named(sizes, point)) for point in points]
    limit, wanted = first_finite(lambda limit: [_evaluate(f, seed, limit) for f in functions])
    for version in filter(runs_here, compiled):
        executable = opened(load_compiled(version))
        for function, point, arrays in zip(functions, points, wanted, strict=True):
            results = executable(*vector_inputs(specs_of(function), seed, limit))
            _agree(version.manifest, point, results, arrays)
    calls = [
        VectorCall("run", p, tuple(map(sample, a))) for p, a in zip(points, wanted, strict=True)
    ]
    return SelfTest(seed, tuple(calls), limit)


def points_of(sizes: OpenSizes | None) -> list[Point]:
    """The sizes of the calls: the least, the greatest, primes between, and the greatest of each
    part that has code of its own; one call without sizes."""
    if sizes is None:
        return [()]
    least = tuple(size.minimum for size in sizes.ranges)
    greatest = tuple(size.maximum for size in sizes.ranges)
    between = tuple(_prime(low, high) for low, high in zip(least, greatest, strict=True))
    tops = {tuple(size.maximum for size in part.ranges) for part in sizes.parts}
    return sorted({least, between, greatest, *tops})


def _prime(low: int, high: int) -> int:
    """A prime within a range, from the middle down and then up; its least number if there is none."""
    middle = (low + high) // 2
    numbers: list[int] = [*range(middle, max(low, 1), -1), *range(max(middle + 1, 2), high)]
    for number in numbers:
        if all(number % k for k in range(2, math.isqrt(number) + 1)):
            return number
    return low


def named(sizes: OpenSizes | None, point: Point) -> dict[str, int]:
    """The sizes of a call by name."""
    names = [] if sizes is None else [size.name for size in sizes.ranges]
    return dict(zip(names, point, strict=True))


def specs_of(function: Function) -> list[TensorSpec]:
    """The parameters of a function."""
    return [TensorSpec(v.name, v.shape, v.dtype.name) for v in function.parameters]


def vector_inputs(specs: Sequence[TensorSpec], seed: int, limit: int) -> list[NDArray[np.generic]]:
    """An array for each tensor that a caller gives."""
    return [vector_input(spec, position, seed, limit) for position, spec in enumerate(specs)]


def first_finite(
    attempt: Callable[[int], Sequence[Sequence[Array]]],
) -> tuple[int, list[list[Array]]]:
    """The first of `LIMITS` whose results are all finite, and these; the first if none is."""
    first: list[list[Array]] = []
    for limit in LIMITS:
        results = [list(arrays) for arrays in attempt(limit)]
        if all(np.isfinite(array.astype(np.float64)).all() for row in results for array in row):
            return limit, results
        first = first or results
    return LIMITS[0], first


def runs_here(compiled: Compiled) -> bool:
    """True if this machine can run the code."""
    manifest = compiled.manifest
    here = manifest.triple.startswith(architecture())
    return here and not missing_features(manifest.features)


def _evaluate(function: Function, seed: int, limit: int) -> list[Array]:
    inputs = vector_inputs(specs_of(function), seed, limit)
    return [np.array(array) for array in evaluate(function, inputs)]


def _agree(
    manifest: Manifest, point: Point, results: Sequence[Array], wanted: Sequence[Array]
) -> None:
    for spec, got, array in zip(manifest.outputs, results, wanted, strict=True):
        found = gap(got, array, MODEL_FACTOR)
        if not found.agrees:
            raise disagreement(manifest, spec.name, point, str(found))


def disagreement(manifest: Manifest, name: str, point: Point, text: str) -> ArtifactError:
    """The error for compiled code that does not pass."""
    sizes = ", ".join(f"{k}={n}" for k, n in named(manifest.sizes, point).items())
    where = f" at {sizes}" if sizes else ""
    return ArtifactError(
        f"output {name!r} of {manifest.model!r} fails its self-test for {manifest.cpu}{where}:"
        f" {text}; `tensorkiln verify` looks for the op"
    )


def sample(array: Array, steady: NDArray[np.bool_] | None = None) -> Sample:
    """Evenly spaced elements, the first and the last among them; of the `steady` ones if given."""
    places = np.arange(array.size) if steady is None else np.flatnonzero(steady)
    count = min(SAMPLES, places.size)
    chosen = np.unique(np.linspace(0, max(places.size - 1, 0), count).astype(np.int64))
    positions = tuple(map(int, places[chosen]))
    return Sample(positions, tuple(map(float, values_at(array, positions))), tolerance(array))


def values_at(array: Array, positions: Sequence[int]) -> NDArray[np.float64]:
    """Elements as the self-test reads them: as f64, and all integers as signed ones."""
    values = array.reshape(-1)[list(positions)]
    if dtype_of(array.dtype).kind == "uint":
        values = values.view(values.dtype.str.replace("u", "i"))
    wide: NDArray[np.float64] = values.astype(np.float64)
    return wide


def tolerance(array: Array) -> float:
    """How far an element may be from the interpreter's: 0 for integers and bools."""
    if not dtype_of(array.dtype).is_float:
        return 0.0
    wide = array.astype(np.float64)
    largest = np.max(np.abs(wide), where=np.isfinite(wide), initial=0.0)
    eps = float(ml_dtypes.finfo(array.dtype).eps)  # type: ignore[no-untyped-call]
    return limit_of(array.dtype) * MODEL_FACTOR * eps * float(largest)
