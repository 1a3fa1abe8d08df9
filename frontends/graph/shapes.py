"""Static shapes with unknown dims and unknown ranks: TensorFlow's TensorShape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias, overload

import numpy as np

from tensorkiln.frontends.graph.dimension import Dimension, Size, as_size
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_graph import TensorShapeProto

Sizes: TypeAlias = tuple[Size, ...] | None
"""What is known of a shape: None for an unknown rank, None in place of an unknown dim."""


class ShapeError(ValueError):
    """Shapes that cannot go together; the op that was being made adds its name to the text."""


class TensorShape:
    """What is known of a shape at build time."""

    __slots__ = ("sizes",)

    def __init__(self, dims: object) -> None:
        self.sizes: Sizes = as_sizes(dims)

    @property
    def dims(self) -> list[Dimension] | None:
        """The dims, or None for an unknown rank."""
        return None if self.sizes is None else [Dimension(size) for size in self.sizes]

    @property
    def ndims(self) -> int | None:
        """The rank, or None."""
        return None if self.sizes is None else len(self.sizes)

    @property
    def rank(self) -> int | None:
        """The rank, or None."""
        return self.ndims

    def as_list(self) -> list[Size]:
        """The sizes, None for unknown ones; ValueError for an unknown rank."""
        if self.sizes is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self.sizes)

    def is_fully_defined(self) -> bool:
        """True if every size is known."""
        return self.sizes is not None and None not in self.sizes

    def assert_is_fully_defined(self) -> None:
        """Raises ValueError unless every size is known."""
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def num_elements(self) -> int | None:
        """The number of elements, or None if it is not known."""
        sizes = self.sizes
        if sizes is None or None in sizes:
            return None
        return math.prod(size for size in sizes if size is not None)

    def is_compatible_with(self, other: object) -> bool:
        """True if a tensor can have both shapes."""
        return compatible(self.sizes, as_sizes(other))

    def assert_is_compatible_with(self, other: object) -> None:
        """Raises ValueError unless a tensor can have both shapes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {as_shape(other)} are incompatible")

    def merge_with(self, other: object) -> TensorShape:
        """What both know together; ValueError if they contradict each other."""
        try:
            return TensorShape(merge(self.sizes, as_sizes(other)))
        except ShapeError as error:
            raise ValueError(str(error)) from None

    def as_proto(self) -> Proto:
        """The shape as a TensorShapeProto message; unknown dims are -1."""
        if self.sizes is None:
            return TensorShapeProto(unknown_rank=True)
        message = TensorShapeProto()
        for size in self.sizes:
            message.dim.add(size=-1 if size is None else size)
        return message

    def concatenate(self, other: object) -> TensorShape:
        """These dims, then those."""
        more = as_sizes(other)
        if self.sizes is None or more is None:
            return TensorShape(None)
        return TensorShape(self.sizes + more)

    def with_rank(self, rank: int) -> TensorShape:
        """This shape, if it can have `rank` dims; ValueError else."""
        if self.sizes is None:
            return TensorShape((None,) * rank)
        if len(self.sizes) != rank:
            raise ValueError(f"Shape {self} must have rank {rank}")
        return self

    def assert_has_rank(self, rank: int) -> None:
        """Raises ValueError unless the shape can have `rank` dims."""
        if self.ndims not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def assert_same_rank(self, other: object) -> None:
        """Raises ValueError unless both can have the same number of dims."""
        found = as_shape(other)
        if None not in (self.ndims, found.ndims) and self.ndims != found.ndims:
            raise ValueError(f"Shapes {self} and {found} must have the same rank")

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """This shape, if it can have `rank` dims or fewer; ValueError else."""
        if self.sizes is not None and len(self.sizes) > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}")
        return self

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """This shape, if it can have `rank` dims or more; ValueError else."""
        if self.sizes is not None and len(self.sizes) < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def __len__(self) -> int:
        if self.sizes is None:
            raise ValueError("Cannot take the length of Shape with unknown rank.")
        return len(self.sizes)

    def __bool__(self) -> bool:
        return self.sizes is not None

    def __iter__(self) -> Iterator[Dimension]:
        dims = self.dims
        if dims is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter(dims)

    @overload
    def __getitem__(self, key: int) -> Dimension: ...
    @overload
    def __getitem__(self, key: slice) -> TensorShape: ...
    def __getitem__(self, key: int | slice) -> Dimension | TensorShape:
        if isinstance(key, slice):
            if self.sizes is not None:
                return TensorShape(self.sizes[key])
            if key.stop is None or key.step is not None or key.stop < (key.start or 0):
                return TensorShape(None)
            return TensorShape((None,) * (key.stop - (key.start or 0)))
        return Dimension(None if self.sizes is None else self.sizes[key])

    def __eq__(self, other: object) -> bool:
        try:
            return self.sizes == as_sizes(other)
        except (TypeError, ValueError):
            return False

    def __hash__(self) -> int:
        return hash(self.sizes)

    def __str__(self) -> str:
        return show(self.sizes)

    def __repr__(self) -> str:
        return f"TensorShape({self.dims})"


def as_shape(value: object) -> TensorShape:
    """A TensorShape from what a program may write for a shape."""
    return value if isinstance(value, TensorShape) else TensorShape(value)


def as_sizes(value: object) -> Sizes:
    """The known sizes of what a program may write for a shape."""
    if value is None:
        return None
    if isinstance(value, TensorShape):
        return value.sizes
    if isinstance(value, str):
        raise TypeError(f"{value!r} is not a shape")
    if isinstance(value, TensorShapeProto):
        dims = tuple(None if dim.size < 0 else int(dim.size) for dim in value.dim)
        return None if value.unknown_rank else dims
    if isinstance(value, np.ndarray):
        return tuple(as_size(size) for size in value.reshape(-1))
    if isinstance(value, Sequence):
        return tuple(as_size(size) for size in value)
    return (as_size(value),)


def show(sizes: Sizes) -> str:
    """The text in printed tensors: `(?, 3)`, `(4,)`, `()` or `<unknown>`."""
    if sizes is None:
        return "<unknown>"
    parts = ["?" if size is None else str(size) for size in sizes]
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def brackets(sizes: Sizes) -> str:
    """The text in shape errors: `[?,3]` or `<unknown>`."""
    if sizes is None:
        return "<unknown>"
    return f"[{','.join('?' if size is None else str(size) for size in sizes)}]"


def compatible(a: Sizes, b: Sizes) -> bool:
    """True if a tensor can have both shapes."""
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(
        x is None or y is None or x == y for x, y in zip(a, b, strict=True)
    )


def contradiction(a: Sizes, b: Sizes) -> str:
    """How two shapes that are not compatible differ, in TensorFlow's words."""
    assert a is not None
    assert b is not None
    if len(a) != len(b):
        return f"Shapes must be equal rank, but are {len(a)} and {len(b)}"
    place = next(k for k, (x, y) in enumerate(zip(a, b, strict=True)) if not compatible((x,), (y,)))
    return (
        f"Dimension {place} in both shapes must be equal, but are {a[place]} and {b[place]}. "
        f"Shapes are {brackets(a)} and {brackets(b)}."
    )


def merge(a: Sizes, b: Sizes) -> Sizes:
    """What both know together; ValueError if they contradict each other."""
    if not compatible(a, b):
        raise ShapeError(f"Shapes {show(a)} and {show(b)} are not compatible")
    if a is None or b is None:
        return b if a is None else a
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def broadcast(a: Sizes, b: Sizes) -> Sizes:
    """The shape of an elementwise op on both (numpy's rule); ShapeError if there is none."""
    if a is None or b is None:
        return None
    rank = max(len(a), len(b))
    left = (1,) * (rank - len(a)) + a
    right = (1,) * (rank - len(b)) + b
    return tuple(map(_broadcast_size, left, right))


def _broadcast_size(x: Size, y: Size) -> Size:
    if x == 1:
        return y
    if y in (1, x):
        return x
    if x is None or y is None:
        return y if x is None else x
    raise ShapeError(f"Dimensions must be equal, but are {x} and {y}")
