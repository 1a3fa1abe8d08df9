"""Rows folded by the segments that they belong to.

The number of segments of the sorted forms follows from the last id.  What is not known while the
graph is built becomes a hidden input, which the host computes from the ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS, NUMBERS
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.index_checks import check_indices, check_segments, invalid
from tensorkiln.frontends.graph.kinds import Lower, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_elementwise import maximum, sqrt
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.segments import folded
from tensorkiln.frontends.graph.shapes import ShapeError, brackets, compatible
from tensorkiln.frontends.graph.statics import static_array, static_integer
from tensorkiln.frontends.graph.tensor import Tensor

# Sorted ids


class Segment(Protocol):
    """A fold of rows by sorted segment ids."""

    def __call__(self, data: object, segment_ids: object, name: str | None = None) -> Tensor:
        """One row a segment."""
        ...


def _segment(kind: str, meaning: str) -> Segment:
    def function(data: object, segment_ids: object, name: str | None = None) -> Tensor:
        with graph_of([data, segment_ids]).name_scope(name or f"Segment{kind}") as scope:
            rows = convert_to_tensor(data, name="data")
            ids = convert_to_tensor(segment_ids, name="segment_ids")
            return make(f"Segment{kind}", (rows, ids, count_of(ids)), scope)

    function.__doc__ = f"{meaning} of the rows of each segment; the ids are sorted."
    function.__name__ = f"segment_{kind.lower()}"
    return function


def count_of(ids: Tensor) -> Tensor:
    """The number of segments of sorted ids."""
    known = static_array(ids)
    if known is not None and known.ndim == 1 and _sorted_problem(known) is None:
        return convert_to_tensor(int(known[-1]) + 1 if known.size else 0, dtypes.int32, "segments")
    return make("SegmentCount", (ids,), "segments")


def _sorted_problem(ids: Array) -> str | None:
    if ids.size and ids[0] < 0:
        return "segment ids must be >= 0"
    return "segment ids are not increasing" if (np.diff(ids) < 0).any() else None


def _count_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    (ids,) = arrays
    problem = _sorted_problem(ids.reshape(-1))
    if problem is not None:
        raise invalid(op, problem)
    return [np.array(int(ids.reshape(-1)[-1]) + 1 if ids.size else 0, np.int32)]


def _segment_infer(op: Operation) -> Sequence[Result]:
    data, ids = op.inputs[:2]
    if ids.sizes is not None and len(ids.sizes) != 1:
        raise ShapeError(f"Shape must be rank 1 but is rank {len(ids.sizes)}")
    if data.sizes is None:
        return [(base(data), None)]
    if not data.sizes:
        raise ShapeError("Shape must be at least rank 1 but is rank 0")
    return [(base(data), (None, *data.sizes[1:]))]


def _segment_lower(kind: str, empty: float) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        data, ids, _ = values
        count = lowering.integer(op, 2, values)
        if ids.shape != data.shape[:1]:
            raise invalid(op, "segment_ids should be the same size as dimension 0 of input.")
        return [folded(lowering.builder, kind, data, ids, count, empty)]

    return lower


# Any ids


class UnsortedSegment(Protocol):
    """A fold of rows by segment ids in any order."""

    def __call__(
        self, data: object, segment_ids: object, num_segments: object, name: str | None = None
    ) -> Tensor:
        """One row a segment."""
        ...


def _unsorted(kind: str, meaning: str) -> UnsortedSegment:
    def function(
        data: object, segment_ids: object, num_segments: object, name: str | None = None
    ) -> Tensor:
        return make(f"UnsortedSegment{kind}", (data, segment_ids, num_segments), name)

    function.__doc__ = (
        f"{meaning} of the rows of each segment; rows with a negative id are left out."
    )
    function.__name__ = f"unsorted_segment_{kind.lower()}"
    return function


def unsorted_segment_mean(
    data: object, segment_ids: object, num_segments: object, name: str | None = None
) -> Tensor:
    """The mean of the rows of each segment, 0 where there are none."""
    with graph_of([data, segment_ids, num_segments]).name_scope(name or "UnsortedSegmentMean"):
        total, number = _sum_and_count(data, segment_ids, num_segments)
        return total / number


def unsorted_segment_sqrt_n(
    data: object, segment_ids: object, num_segments: object, name: str | None = None
) -> Tensor:
    """The sum of the rows of each segment divided by the square root of their number."""
    with graph_of([data, segment_ids, num_segments]).name_scope(name or "UnsortedSegmentSqrtN"):
        total, number = _sum_and_count(data, segment_ids, num_segments)
        return total / sqrt(number)


def _sum_and_count(data: object, segment_ids: object, count: object) -> tuple[Tensor, Tensor]:
    rows, ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
    if rows.sizes is None or ids.sizes is None:
        raise ValueError("the ranks of data and segment_ids must be known")
    ones = make("OnesLike", (ids,), dtype=base(rows))
    number = unsorted_segment_sum(ones, ids, count)
    for _ in range(len(rows.sizes) - len(ids.sizes)):
        number = make("ExpandDims", (number, -1))
    return unsorted_segment_sum(rows, ids, count), maximum(number, 1)


def _unsorted_infer(op: Operation) -> Sequence[Result]:
    data, ids, count = op.inputs
    if data.sizes is None or ids.sizes is None:
        return [(base(data), None)]
    lead = len(ids.sizes)
    if not compatible(data.sizes[:lead], ids.sizes):
        raise ShapeError(
            f"data.shape = {brackets(data.sizes)} does not start with segment_ids.shape = "
            f"{brackets(ids.sizes)}"
        )
    return [(base(data), (static_integer(count), *data.sizes[lead:]))]


def _unsorted_lower(kind: str) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        data, ids, _ = values
        count = lowering.integer(op, 2, values)
        if data.shape[: len(ids.shape)] != ids.shape:
            raise invalid(
                op, f"data.shape = {brackets(data.shape)} does not start with segment_ids.shape = "
                f"{brackets(ids.shape)}",
            )  # fmt: skip
        check_segments(lowering, op, ids, count)
        return [folded(lowering.builder, kind, data, ids, count, None)]

    return lower


# Rows picked first


class SparseSegment(Protocol):
    """A fold of rows picked by indices, by sorted segment ids."""

    def __call__(
        self, data: object, indices: object, segment_ids: object, name: str | None = None,
        num_segments: object = None,
    ) -> Tensor:  # fmt: skip
        """One row a segment."""
        ...


def _sparse(kind: str, meaning: str) -> SparseSegment:
    def function(
        data: object, indices: object, segment_ids: object, name: str | None = None,
        num_segments: object = None,
    ) -> Tensor:  # fmt: skip
        suffix = "" if num_segments is None else "WithNumSegments"
        label = f"SparseSegment{kind}{suffix}"
        with graph_of([data, indices, segment_ids]).name_scope(name or label) as scope:
            rows = convert_to_tensor(data, name="data")
            places = convert_to_tensor(indices, name="indices")
            ids = convert_to_tensor(segment_ids, name="segment_ids")
            count = count_of(ids) if num_segments is None else num_segments
            return make(label, (rows, places, ids, count), scope)

    function.__doc__ = f"{meaning} of the rows at `indices`, by sorted segment ids."
    function.__name__ = f"sparse_segment_{kind.lower()}"
    return function


def _sparse_infer(op: Operation) -> Sequence[Result]:
    data = op.inputs[0]
    for tensor in op.inputs[1:3]:
        if tensor.sizes is not None and len(tensor.sizes) != 1:
            raise ShapeError(f"Shape must be rank 1 but is rank {len(tensor.sizes)}")
    given = op.type.endswith("WithNumSegments")
    count = static_integer(op.inputs[3]) if given else None
    return [(base(data), None if data.sizes is None else (count, *data.sizes[1:]))]


def _sparse_lower(kind: str) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        data, indices, ids, _ = values
        count = lowering.integer(op, 3, values)
        if ids.shape != indices.shape:
            raise invalid(op, "segment_ids and indices should have same size.")
        check_indices(lowering, op, indices, data.shape[0])
        check_segments(lowering, op, ids, count)
        if not indices.type.elements:
            shape = (count, *data.shape[1:])
            return [shorthand.full(lowering.builder, shape, 0, data.dtype)]
        rows = shorthand.take(lowering.builder, data, indices)
        return [folded(lowering.builder, kind, rows, ids, count, 0)]

    return lower


_NUMBER = {"T": NUMBERS}
register(
    OpKind("SegmentCount", "segment_ids:index", lambda op: [(dtypes.int32, ())], host_only,
           differentiable=False, host=_count_host),
    *(
        OpKind(f"Segment{kind}", "data:T segment_ids:index segments:int32", _segment_infer,
               _segment_lower(kind, empty), _NUMBER)
        for kind, empty in (("Sum", 0), ("Mean", 0), ("Prod", 1), ("Max", 0), ("Min", 0))
    ),
    *(
        OpKind(f"UnsortedSegment{kind}", "data:T segment_ids:index num_segments:index",
               _unsorted_infer, _unsorted_lower(kind), _NUMBER)
        for kind in ("Sum", "Prod", "Max", "Min")
    ),
    *(
        OpKind(f"SparseSegment{kind}{suffix}",
               "data:T indices:index segment_ids:index num_segments:index", _sparse_infer,
               _sparse_lower(kind), _NUMBER if kind == "Sum" else {"T": FLOATS})
        for kind in ("Sum", "Mean", "SqrtN")
        for suffix in ("", "WithNumSegments")
    ),
)  # fmt: skip

segment_sum = _segment("Sum", "The sum")
segment_mean = _segment("Mean", "The mean")
segment_prod = _segment("Prod", "The product")
segment_max = _segment("Max", "The largest elements")
segment_min = _segment("Min", "The smallest elements")
unsorted_segment_sum = _unsorted("Sum", "The sum")
unsorted_segment_prod = _unsorted("Prod", "The product")
unsorted_segment_max = _unsorted("Max", "The largest elements")
unsorted_segment_min = _unsorted("Min", "The smallest elements")
sparse_segment_sum = _sparse("Sum", "The sum")
sparse_segment_mean = _sparse("Mean", "The mean")
sparse_segment_sqrt_n = _sparse("SqrtN", "The sum over the square root of the number")
