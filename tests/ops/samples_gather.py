"""Samples of gather and scatter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import BF16, BOOL, F16, F32, F64, I8, I32, I64, DType
from tensorkiln.compiler.ir.function import Attribute

Array: TypeAlias = NDArray[Any]
Ints = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """Dimension numbers of a gather, or of a scatter with its names changed."""

    window_dims: Ints
    dropped: Ints
    mapped: Ints
    vector: int
    sizes: Ints

    def places(self, indices: Array, rank: int) -> Iterator[tuple[Ints, Ints, Ints]]:
        """For each element of the result (or updates): its index, its window's start, and its
        index in the window."""
        vectors = indices[..., None] if self.vector == indices.ndim else indices
        axis = vectors.ndim - 1 if self.vector == indices.ndim else self.vector
        batch = [n for k, n in enumerate(vectors.shape) if k != axis]
        kept = [k for k in range(rank) if k not in self.dropped]
        total = len(batch) + len(kept)
        outer_dims = [k for k in range(total) if k not in self.window_dims]
        for outer in np.ndindex(*batch):
            entries = np.moveaxis(vectors, axis, -1)[outer]
            start = [0] * rank
            for entry, dim in zip(entries, self.mapped, strict=True):
                start[dim] = int(entry)
            for window in np.ndindex(*(self.sizes[k] for k in kept)):
                at, local = [0] * total, [0] * rank
                for k, i in zip(outer_dims, outer, strict=True):
                    at[k] = i
                for k, dim, i in zip(self.window_dims, kept, window, strict=True):
                    at[k], local[dim] = i, i
                yield tuple(at), tuple(start), tuple(local)

    def shape(self, indices: Array, rank: int) -> Ints:
        """The shape of the result or updates."""
        batch = iter([n for k, n in enumerate(indices.shape) if k != self.vector])
        window = iter([self.sizes[k] for k in range(rank) if k not in self.dropped])
        many = indices.ndim - (self.vector < indices.ndim) + rank - len(self.dropped)
        return tuple(next(window) if k in self.window_dims else next(batch) for k in range(many))


def _gather(x: Array, indices: Array, geometry: Geometry, label: str) -> Sample:
    def expected(x: Array, indices: Array) -> Array:
        out = np.zeros(geometry.shape(indices, x.ndim), x.dtype)
        for at, start, local in geometry.places(indices, x.ndim):
            first = [
                min(max(s, 0), n - w)
                for s, n, w in zip(start, x.shape, geometry.sizes, strict=True)
            ]
            out[at] = x[tuple(f + k for f, k in zip(first, local, strict=True))]
        return out

    attributes: Mapping[str, Attribute] = {
        "offset_dims": geometry.window_dims,
        "collapsed_slice_dims": geometry.dropped,
        "start_index_map": geometry.mapped,
        "index_vector_dim": geometry.vector,
        "slice_sizes": geometry.sizes,
    }
    return Sample("gather", (x, indices), expected, attributes, label=label, exact=True)


FUNCTIONS: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "set": lambda old, new: new,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def _scatter(
    x: Array, indices: Array, geometry: Geometry, reducer: str, label: str, seed: int = 7
) -> Sample:
    dtype = next(d for d in (BF16, BOOL, F16, F32, F64, I8, I32, I64) if d.numpy == x.dtype)

    def expected(x: Array, indices: Array, updates: Array) -> Array:
        out: Array = x.copy()
        for at, start, local in geometry.places(indices, x.ndim):
            place = tuple(s + k for s, k in zip(start, local, strict=True))
            if all(0 <= i < n for i, n in zip(place, x.shape, strict=True)):
                out[place] = FUNCTIONS[reducer](out[place], updates[at])
        return out

    updates = draw(geometry.shape(indices, x.ndim), dtype, seed=seed)
    attributes: Mapping[str, Attribute] = {
        "update_window_dims": geometry.window_dims,
        "inserted_window_dims": geometry.dropped,
        "scatter_dims_to_operand_dims": geometry.mapped,
        "index_vector_dim": geometry.vector,
        "reducer": reducer,
    }
    return Sample(
        "scatter",
        (x, indices, updates),
        expected,
        attributes,
        label=f"{reducer}_{label}",
        slack=4.0,
    )


def _rows_of_each(x: Array, indices: Array) -> Array:
    """x[b, indices[b, k]], clamped, for x[b, n, d]."""
    picked = [x[b, np.clip(row, 0, x.shape[1] - 1)] for b, row in enumerate(indices)]
    return np.array(picked, x.dtype).reshape(*indices.shape, x.shape[2])


def _pieces(x: Array, indices: Array) -> Array:
    """x[i : i + 2, c, b] for the i in indices[b, 0, c]."""
    out = np.zeros((indices.shape[0], 2, indices.shape[2]), x.dtype)
    for b, _, c in np.ndindex(indices.shape):
        first = min(max(int(indices[b, 0, c]), 0), x.shape[0] - 2)
        out[b, :, c] = x[first : first + 2, c, b]
    return out


BATCHED: dict[str, Attribute] = {
    "offset_dims": (2,), "collapsed_slice_dims": (1,), "start_index_map": (1,),
    "operand_batching_dims": (0,), "start_indices_batching_dims": (0,),
    "index_vector_dim": 2, "slice_sizes": (1, 1, 3),
}  # fmt: skip
CROSSED: dict[str, Attribute] = {
    "offset_dims": (1,), "collapsed_slice_dims": (), "start_index_map": (0,),
    "operand_batching_dims": (2, 1), "start_indices_batching_dims": (0, 2),
    "index_vector_dim": 1, "slice_sizes": (2, 1, 1),
}  # fmt: skip
CROSSED_UPDATES: dict[str, Attribute] = {
    "update_window_dims": (1,), "inserted_window_dims": (), "scatter_dims_to_operand_dims": (0,),
    "input_batching_dims": (2, 1), "scatter_indices_batching_dims": (0, 2),
    "index_vector_dim": 1,
}  # fmt: skip


def _crossed_scatter(reducer: str, dtype: DType) -> Sample:
    def expected(x: Array, indices: Array, updates: Array) -> Array:
        out: Array = x.copy()
        for b, _, c in np.ndindex(indices.shape):
            for k in range(2):
                place = int(indices[b, 0, c]) + k
                if 0 <= place < x.shape[0]:
                    out[place, c, b] = FUNCTIONS[reducer](out[place, c, b], updates[b, k, c])
        return out

    arrays = (draw((5, 2, 3), dtype, -20, 20), CROSSED_STARTS, draw((3, 2, 2), dtype, -20, 20, 3))
    attributes = {**CROSSED_UPDATES, "reducer": reducer}
    return Sample("scatter", arrays, expected, attributes, label=f"{reducer}_batched", slack=4.0)


def _at(values: object, dtype: DType = I32) -> Array:
    return np.array(values, dtype.numpy)


def _zeros_in(x: Array) -> Array:
    x[0] = 0
    return x


def _rows(width: int) -> Geometry:
    """Rows of a matrix at a vector of indices: an embedding."""
    return Geometry((1,), (0,), (0,), 1, (1, width))


POINTS = Geometry((), (0, 1), (1, 0), 1, (1, 1))
BLOCKS = Geometry((0, 2), (1,), (0, 1), 0, (2, 1, 3))
LAST = Geometry((0, 1), (2,), (2,), 2, (3, 2, 1))
WHOLE = Geometry((1,), (), (), 1, (4,))
CROSSED_STARTS = _at([[[3, 9]], [[0, 2]], [[-1, 4]]])
ROWS = _at([2, 0, 2, 4, 1])
OUTSIDE = _at([5, -1, 3, 9], I64)

SAMPLES = (
    _gather(draw((5, 3), F64), ROWS, _rows(3), "rows"),
    _gather(draw((6, 17), F32), OUTSIDE, _rows(17), "clamped"),
    _gather(draw((4, 2), F16), _at([[0, 3], [1, 1]]), Geometry((2,), (0,), (0,), 2, (1, 2)), "2d"),
    _gather(draw((3, 5), F64), _at([[1, 2], [4, 0], [0, 7]]), POINTS, "points"),
    _gather(draw((4, 3, 5), F64), _at([[1, 3, 0], [2, 0, 1]]), BLOCKS, "blocks"),
    _gather(draw((3, 2, 7), I8, -50, 50), _at([[6, 0], [3, 3]]), LAST, "last"),
    _gather(draw((7,), F32), _at(4), Geometry((), (0,), (0,), 0, (1,)), "scalar"),
    _gather(draw((7,), BOOL), _at(4), Geometry((0,), (), (0,), 0, (3,)), "piece"),
    _gather(draw((5, 3), BF16), _at([], I64), _rows(3), "nothing"),
    _gather(draw((5, 0), F32), ROWS, _rows(0), "empty"),
    _gather(draw((4,), F64), _at(np.zeros((2, 0))), WHOLE, "whole"),
    Sample(
        "gather",
        (draw((2, 5, 3), F64), _at([[4, 0, 9, 4], [-2, 1, 1, 3]])),
        _rows_of_each,
        BATCHED,
        label="batched",
        exact=True,
    ),
    Sample(
        "gather",
        (draw((0, 5, 3), F32), _at(np.zeros((0, 4)))),
        _rows_of_each,
        {**BATCHED, "slice_sizes": (0, 1, 3)},
        label="batched_empty",
        exact=True,
    ),
    Sample(
        "gather",
        (draw((5, 2, 3), F64), CROSSED_STARTS),
        _pieces,
        CROSSED,
        label="batched_crossed",
        exact=True,
    ),
    *(_crossed_scatter(reducer, F64) for reducer in FUNCTIONS),
    _crossed_scatter("add", I8),
    _scatter(draw((5, 3), F64), ROWS, _rows(3), "add", "rows"),
    _scatter(draw((5, 17), F32), OUTSIDE, _rows(17), "add", "outside"),
    _scatter(draw((6, 3), F16), _at([1, 1, 1, 2]), _rows(3), "add", "repeated"),
    _scatter(draw((5, 3), F64), ROWS, _rows(3), "set", "rows"),
    _scatter(draw((7, 2), I32, -9, 9), OUTSIDE, _rows(2), "set", "outside"),
    _scatter(draw((5, 3), F64), ROWS, _rows(3), "maximum", "rows"),
    _scatter(draw((5, 3), F64), OUTSIDE, _rows(3), "minimum", "outside"),
    _scatter(draw((5, 3), F64), ROWS, _rows(3), "multiply", "rows"),
    _scatter(_zeros_in(draw((5, 3), F64)), ROWS, _rows(3), "multiply", "zeros"),
    _scatter(draw((3, 5), F64), _at([[1, 2], [4, 0], [9, 1]]), POINTS, "add", "points"),
    _scatter(draw((4, 3, 5), F64), _at([[3, -1, 1], [2, 0, 1]]), BLOCKS, "add", "blocks"),
    _scatter(draw((4, 3, 5), F64), _at([[3, -1, 1], [2, 0, 1]]), BLOCKS, "set", "blocks"),
    _scatter(draw((3, 2, 7), I64, -50, 50), _at([[6, 0], [3, 3]]), LAST, "add", "last"),
    _scatter(draw((7,), F32), _at(4), Geometry((), (0,), (0,), 0, (1,)), "add", "scalar"),
    _scatter(draw((7,), BOOL), _at(5), Geometry((0,), (), (0,), 0, (3,)), "set", "piece"),
    _scatter(draw((5, 3), BF16), _at([], I64), _rows(3), "add", "nothing"),
    _scatter(draw((5, 0), F32), ROWS, _rows(0), "add", "empty"),
    _scatter(draw((4,), F64), _at(np.zeros((2, 0))), WHOLE, "set", "whole"),
    _scatter(draw((4,), F64), _at(np.zeros((2, 0))), WHOLE, "add", "whole"),
)
