"""Checks of indices that only a run knows, with the messages of TensorFlow's kernels.

What is known while lowering is checked there; otherwise the cluster computes whether all indices
are in range, and the host looks for the bad one if they are not.  Inside of loops and branches nobody
looks: there an index that is out of range stands for the nearest one that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.shapes import brackets

Limits: TypeAlias = NDArray[np.int64]


def invalid(op: Operation, message: str) -> InvalidArgumentError:
    """The error of an op that got values it cannot take."""
    return InvalidArgumentError(op.name, op, f"{message}\n\t {op.node_text}")


def check_indices(
    lowering: Lowering, op: Operation, indices: Value, limit: int, name: str = "indices"
) -> None:
    """Each index is in [0, limit)."""
    bounds = np.array(limit, np.int64)
    text = f"is not in [0, {limit})"
    _check(lowering, op, indices, np.zeros_like(bounds), bounds, _single(op, name, text))


def check_segments(lowering: Lowering, op: Operation, ids: Value, count: int) -> None:
    """Each segment id is below `count`; those below 0 are left out."""
    lowest = np.array(np.iinfo(np.int32).min, np.int64)
    react = _single(op, "segment_ids", f"is out of range [0, {count})")
    _check(lowering, op, ids, lowest, np.array(count, np.int64), react)


def check_labels(lowering: Lowering, op: Operation, labels: Value, classes: int) -> None:
    """Each label is in [0, classes)."""

    def react(first: tuple[int, ...], array: Array) -> None:
        values = " ".join(map(str, array.reshape(-1)))
        raise invalid(
            op,
            f"Received a label value of {array[first]} which is outside the valid range of "
            f"[0, {classes}).  Label values: {values}",
        )

    bounds = np.array(classes, np.int64)
    _check(lowering, op, labels, np.zeros_like(bounds), bounds, react)


def check_tuples(
    lowering: Lowering, op: Operation, indices: Value, sizes: Sequence[int], what: str = "shape"
) -> None:
    """Each index tuple along the last dim is an index of the first dims of `sizes`."""
    depth = indices.shape[-1]
    bounds = np.array(sizes[:depth], np.int64)

    def react(first: tuple[int, ...], array: Array) -> None:
        place = ",".join(map(str, first[:-1]))
        bad = ", ".join(map(str, array[first[:-1]].tolist()))
        raise invalid(
            op, f"indices[{place}] = [{bad}] does not index into {what} {brackets(tuple(sizes))}"
        )

    _check(lowering, op, indices, np.zeros_like(bounds), bounds, react)


def _single(op: Operation, name: str, text: str) -> Callable[[tuple[int, ...], Array], None]:
    def react(first: tuple[int, ...], array: Array) -> None:
        place = f"[{','.join(map(str, first))}]" if first else ""
        raise invalid(op, f"{name}{place} = {array[first]} {text}")

    return react


def _check(
    lowering: Lowering, op: Operation, indices: Value, low: Limits, high: Limits,
    react: Callable[[tuple[int, ...], Array], None],
) -> None:  # fmt: skip
    def look(arrays: Sequence[Array]) -> None:
        (array,) = arrays
        wide = array.astype(np.int64)
        bad = np.argwhere((wide < low) | (wide >= high))
        if len(bad):
            react(tuple(int(k) for k in bad[0]), array)

    if not indices.type.elements:
        return
    known = lowering.known(indices)
    if known is not None:
        look([known])
        return
    if not lowering.watched:
        return
    builder = lowering.builder
    above = shorthand.compare(builder, "GE", indices, _limit(builder, low, indices))
    below = shorthand.compare(builder, "LE", indices, _limit(builder, high - 1, indices))
    both = builder.one("and", (above, below))
    holds = shorthand.reduce(builder, both, "and", None)
    lowering.check(op, holds, [indices], look)


def _limit(builder: Builder, limit: Limits, indices: Value) -> Value:
    kind = np.iinfo(np.int32 if indices.dtype == I32 else np.int64)
    return builder.constant(np.clip(limit, kind.min, kind.max).astype(indices.dtype.numpy))
