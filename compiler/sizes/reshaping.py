"""Reshapes that cut merged open dims anew.

Tokens of an image, counted by one dim behind that of a class, come back to rows and columns; rows of
n*m elements become m rows of n.  Dims are taken in groups that hold the same elements before and
after; each group becomes one dim, is brought to the order of the new dims, and is cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ops.shorthand import reshape
from tensorkiln.compiler.sizes.bounder import Bounder, Open
from tensorkiln.compiler.sizes.factors import Dims, Factors, actual, normal, regroup
from tensorkiln.compiler.sizes.relaying import relaid
from tensorkiln.compiler.sizes.samples import Sampled


def fits(sampled: Sampled, dims: Dims) -> bool:
    """True if the dims are those of the op's result at every point."""
    points = zip(sampled.ops, sampled.space.points, strict=True)
    return all(
        tuple(actual(dim, point) for dim in dims) == op.results[0].shape for op, point in points
    )


def cut(bounder: Bounder, sampled: Sampled, x: Open) -> Open:
    """A reshape whose dims are no factors of those of its operand."""
    shape = sampled.op.result.shape
    groups = _groups(sampled)
    merged = [math.prod(shape[axis] for axis in after) for _, after in groups]
    flat = regroup(x.dims, merged)
    if flat is None:
        raise sampled.unsupported(f"it cuts an open dim of {x.value.type} into {sampled.op.result}")
    made = Open(reshape(bounder.builder, x.value, merged), flat)
    dims: list[Factors] = []
    for number, (_, after) in enumerate(groups):
        sizes = [shape[axis] for axis in after]
        parts = regroup((flat[number],), sizes)
        if parts is None or not _agree(sampled, parts, after):
            parts = tuple(sampled.dim(axis) for axis in after)
            whole = normal(tuple(factor for dim in parts for factor in dim))
            made = relaid(bounder, made, number, whole)
        dims += parts
    return Open(reshape(bounder.builder, made.value, shape), tuple(dims))


def _agree(sampled: Sampled, parts: Dims, axes: Sequence[int]) -> bool:
    return all(
        actual(dim, point) == op.results[0].shape[axis]
        for dim, axis in zip(parts, axes, strict=True)
        for op, point in zip(sampled.ops, sampled.space.points, strict=True)
    )


def _groups(sampled: Sampled) -> list[tuple[list[int], list[int]]]:
    """Dims of the operand and of the result that hold the same elements at every point, as few
    together as possible."""
    before = [op.operands[0].shape for op in sampled.ops]
    after = [op.results[0].shape for op in sampled.ops]
    ends = [_products(before, axis) for axis in range(len(before[0]) + 1)]
    found: list[tuple[list[int], list[int]]] = []
    start, begin = 0, 0
    for axis in range(len(after[0]) + 1):
        sizes = _products(after, axis)
        here = [k for k in range(start, len(ends)) if ends[k] == sizes]
        if axis > begin and here:
            found.append((list(range(start, here[0])), list(range(begin, axis))))
            start, begin = here[0], axis
    if found and (start < len(before[0]) or begin < len(after[0])):
        # what is left are dims of size 1
        own, made = found[-1]
        found[-1] = (
            [*own, *range(start, len(before[0]))], [*made, *range(begin, len(after[0]))]
        )  # fmt: skip
    return found


def _products(shapes: Sequence[tuple[int, ...]], axis: int) -> tuple[int, ...]:
    """How many elements the dims before `axis` count at each point."""
    return tuple(math.prod(shape[:axis]) for shape in shapes)
