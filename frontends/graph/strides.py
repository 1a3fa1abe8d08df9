"""The masks of StridedSlice, worked out: what happens to each dim.

See TensorFlow's public documentation of `tf.strided_slice`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.frontends.graph.dimension import Size
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.shapes import ShapeError


@dataclass(frozen=True)
class Range:
    """One dim of the input: Python's slice start:stop:step; a `shrink` dim is dropped.

    `position` is the item's place in the op's begin, end and strides vectors, -1 for dims that
    an ellipsis stands for.
    """

    start: int | None
    stop: int | None
    step: int
    shrink: bool
    position: int

    def size(self, length: Size) -> Size:
        """The number of elements taken of a dim of `length`."""
        if length is None:
            whole = self.start in (None, 0) and self.stop is None and abs(self.step) == 1
            return None if not whole else length
        return len(range(*slice(self.start, self.stop, self.step).indices(length)))


NEW_AXIS = None
"""Stands for a new dim of size 1."""


def dims_of(
    op: Operation,
    begin: Sequence[int | None],
    end: Sequence[int | None],
    strides: Sequence[int],
    rank: int,
) -> list[Range | None]:
    """For each dim of the result before shrinking: a Range of the next input dim or NEW_AXIS.

    A `begin` that is not known at build time is None where the mask does not cover it.
    """
    masks = {
        key: op.integer(f"{key}_mask")
        for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    count = len(begin)
    used = sum(not (masks["ellipsis"] | masks["new_axis"]) >> k & 1 for k in range(count))
    if used > rank:
        raise ShapeError(f"Index out of range using input dim {rank}; input has only {rank} dims")
    result: list[Range | None] = []
    rest = Range(None, None, 1, False, -1)
    for k in range(count):
        bit = {key: bool(mask >> k & 1) for key, mask in masks.items()}
        if bit["ellipsis"]:
            result += [rest] * (rank - used)
        elif bit["new_axis"]:
            result.append(NEW_AXIS)
        elif bit["shrink_axis"]:
            first = begin[k]
            stop = None if first is None or first == -1 else first + 1
            result.append(Range(first, stop, 1, True, k))
        else:
            start = None if bit["begin"] else begin[k]
            stop = None if bit["end"] else end[k]
            result.append(Range(start, stop, strides[k], False, k))
    if not masks["ellipsis"]:
        result += [rest] * (rank - used)
    return result
