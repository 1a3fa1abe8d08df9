"""Gathers and scatters with random dimension numbers against loops over every element."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from compiled.check import small_limits

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, I32, I64
from tensorkiln.compiler.ir.function import Attribute, Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.runtime.jit import load_compiled

COUNT = 30  # cases, all of them one function
FUNCTIONS: dict[str, Any] = {
    "add": np.add, "set": lambda a, b: b, "multiply": np.multiply, "maximum": np.maximum,
    "minimum": np.minimum,
}  # fmt: skip


class Case:
    """Random dimension numbers, by StableHLO's specification of gather and scatter."""

    def __init__(self, seed: int) -> None:
        r = self.random = random.Random(seed)
        rank = r.randint(1, 4)
        self.shape = [r.choice([1, 2, 3, 5]) for _ in range(rank)]
        axes = r.sample(range(rank), rank)
        self.batching = axes[: r.randint(0, min(2, rank - 1))]
        rest = axes[len(self.batching) :]
        self.mapped = rest[: r.randint(0, len(rest))]
        self.sizes = [
            1 if k in self.batching else r.randint(1, n) for k, n in enumerate(self.shape)
        ]
        self.dropped = sorted(k for k in rest if self.sizes[k] == 1 and r.random() < 0.6)
        self.window = [k for k in range(rank) if k not in (*self.batching, *self.dropped)]
        # Dims of the indices without the vectors: partners of the batching dims among others.
        own = [r.choice([1, 2, 4]) for _ in range(r.randint(0, 2))]
        outer = [*((self.shape[k], k) for k in self.batching), *((n, -1) for n in own)]
        r.shuffle(outer)
        self.outer = [n for n, _ in outer]
        places = {axis: place for place, (_, axis) in enumerate(outer) if axis >= 0}
        self.partners = [places[k] for k in self.batching]
        self.vector = r.randint(0, len(self.outer))
        implicit = len(self.mapped) == 1 and r.random() < 0.4
        if implicit:
            self.vector, self.indices_shape = len(self.outer), list(self.outer)
        else:
            self.indices_shape = [
                *self.outer[: self.vector], len(self.mapped), *self.outer[self.vector :]
            ]  # fmt: skip
        total = len(self.outer) + len(self.window)
        self.offsets = sorted(r.sample(range(total), len(self.window)))
        inner, batch = iter(self.sizes[k] for k in self.window), iter(self.outer)
        self.result = [next(inner if k in self.offsets else batch) for k in range(total)]
        self.indices_dtype = r.choice([I32, I64])
        self.reducer = r.choice(list(FUNCTIONS))

    def dims(self, names: tuple[str, ...]) -> dict[str, Attribute]:
        """The attributes under the names that gather or scatter has for them."""
        shift = [
            p + (p >= self.vector and self.vector < len(self.indices_shape)) for p in self.partners
        ]
        if len(self.indices_shape) == len(self.outer):
            shift = self.partners
        values = (self.offsets, self.dropped, self.mapped, self.batching, shift)
        found = {name: tuple(value) for name, value in zip(names, values, strict=True)}
        return {**found, "index_vector_dim": self.vector}

    def places(self, indices: np.ndarray, clamp: bool) -> Any:
        """For each element of the result its index and that of the operand's element."""
        if len(self.indices_shape) == len(self.outer):
            vectors = indices[..., None]
        else:
            vectors = np.moveaxis(indices, self.vector, -1)
        # One index vector's slice after the other: of overlapping ones the last is to win.
        sizes = [self.sizes[k] for k in self.window]
        for outer, local in itertools.product(np.ndindex(*self.outer), np.ndindex(*sizes)):
            inner, batch = iter(local), iter(outer)
            total = len(outer) + len(local)
            at = tuple(next(inner if k in self.offsets else batch) for k in range(total))
            place = [0] * len(self.shape)
            for entry, axis in enumerate(self.mapped):
                start = int(vectors[outer][entry])
                limit = self.shape[axis] - self.sizes[axis]
                place[axis] = min(max(start, 0), limit) if clamp else start
            for axis, partner in zip(self.batching, self.partners, strict=True):
                place[axis] = outer[partner]
            for axis, k in zip(self.window, self.offsets, strict=True):
                place[axis] += at[k]
            yield at, tuple(place)


CASES = [Case(seed) for seed in range(COUNT)]
GATHER = (
    "offset_dims", "collapsed_slice_dims", "start_index_map", "operand_batching_dims",
    "start_indices_batching_dims",
)  # fmt: skip
SCATTER = (
    "update_window_dims", "inserted_window_dims", "scatter_dims_to_operand_dims",
    "input_batching_dims", "scatter_indices_batching_dims",
)  # fmt: skip


def _arrays(case: Case, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.integers(-4, 5, case.shape).astype(np.float32)
    indices = generator.integers(-2, 6, case.indices_shape).astype(case.indices_dtype.numpy)
    return x, indices, generator.integers(-4, 5, case.result).astype(np.float32)


def _function(gathers: bool) -> Function:
    builder = Builder(REGISTRY)
    results = []
    for n, case in enumerate(CASES):
        x = builder.parameter(f"x{n}", TensorType(tuple(case.shape), F32))
        indices = TensorType(tuple(case.indices_shape), case.indices_dtype)
        operands = [x, builder.parameter(f"i{n}", indices)]
        if gathers:
            attributes = {**case.dims(GATHER), "slice_sizes": tuple(case.sizes)}
        else:
            operands.append(builder.parameter(f"u{n}", TensorType(tuple(case.result), F32)))
            attributes = {**case.dims(SCATTER), "reducer": case.reducer}
        results += builder.op("gather" if gathers else "scatter", operands, attributes)
    return builder.finish(results)


def _expected(case: Case, seed: int, gathers: bool) -> np.ndarray:
    x, indices, updates = _arrays(case, seed)
    if gathers:
        out = np.zeros(case.result, np.float32)
        for at, place in case.places(indices, clamp=True):
            out[at] = x[place]
        return out
    out = x.copy()
    for at, place in case.places(indices, clamp=False):
        if all(0 <= i < n for i, n in zip(place, case.shape, strict=True)):
            out[place] = FUNCTIONS[case.reducer](out[place], updates[at])
    return out


@pytest.mark.parametrize("gathers", [True, False], ids=["gather", "scatter"])
def test_any_dimension_numbers(gathers: bool) -> None:
    function = _function(gathers)
    arrays = []
    for seed, case in enumerate(CASES):
        arrays += _arrays(case, seed)[: 2 if gathers else 3]
    with small_limits():
        compiled = pipeline.compile_function(function)
    found = load_compiled(compiled, threads=2)(*arrays)
    for seed, (case, got, want) in enumerate(
        zip(CASES, found, evaluate(function, arrays), strict=True)
    ):
        expected = _expected(case, seed, gathers)
        text = f"case {seed}: {vars(case)}"
        np.testing.assert_array_equal(want, expected, err_msg=text)
        np.testing.assert_array_equal(got, expected, err_msg=text)
