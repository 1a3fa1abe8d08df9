"""Static shapes with unknown dims and unknown ranks: TensorFlow's Dimension and TensorShape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import SupportsIndex, TypeAlias, overload

import numpy as np

Size: TypeAlias = int | None
Sizes: TypeAlias = tuple[Size, ...] | None
"""What is known of a shape: None for an unknown rank, None in place of an unknown dim."""


class ShapeError(ValueError):
    """Shapes that cannot go together; the op that was being made adds its name to the text."""


class Dimension:
    """One dim of a TensorShape; `value` is None where it is unknown."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value: Size = as_size(value)

    def __repr__(self) -> str:
        return f"Dimension({self.value})"

    def __str__(self) -> str:
        return "?" if self.value is None else str(self.value)

    def __int__(self) -> int:
        if self.value is None:
            raise TypeError("__int__ returned non-int (type NoneType)")
        return self.value

    def __index__(self) -> int:
        return int(self)

    # An unknown dim equals nothing: comparisons with it give None, as in TensorFlow.
    def __eq__(self, other: object) -> bool:
        size = as_size(other)
        if self.value is None or size is None:
            return None  # type: ignore[return-value]
        return self.value == size

    def __ne__(self, other: object) -> bool:
        size = as_size(other)
        if self.value is None or size is None:
            return None  # type: ignore[return-value]
        return self.value != size

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def is_compatible_with(self, other: object) -> bool:
        """True if both can be the same size."""
        size = as_size(other)
        return self.value is None or size is None or self.value == size

    def merge_with(self, other: object) -> Dimension:
        """The dim that both describe; ValueError if they differ."""
        size = as_size(other)
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {self} and {Dimension(size)} are not compatible")
        return Dimension(self.value if self.value is not None else size)

    def __add__(self, other: object) -> Dimension:
        size = as_size(other)
        return Dimension(None if self.value is None or size is None else self.value + size)

    __radd__ = __add__

    def __sub__(self, other: object) -> Dimension:
        size = as_size(other)
        return Dimension(None if self.value is None or size is None else self.value - size)

    def __rsub__(self, other: object) -> Dimension:
        return Dimension(other) - self

    def __mul__(self, other: object) -> Dimension:
        size = as_size(other)
        return Dimension(None if self.value is None or size is None else self.value * size)

    __rmul__ = __mul__

    def __floordiv__(self, other: object) -> Dimension:
        size = as_size(other)
        return Dimension(None if self.value is None or size is None else self.value // size)

    def __rfloordiv__(self, other: object) -> Dimension:
        return Dimension(other) // self

    def __mod__(self, other: object) -> Dimension:
        size = as_size(other)
        return Dimension(None if self.value is None or size is None else self.value % size)

    def __lt__(self, other: object) -> bool:
        return int(self) < int(Dimension(other))

    def __le__(self, other: object) -> bool:
        return int(self) <= int(Dimension(other))

    def __gt__(self, other: object) -> bool:
        return int(self) > int(Dimension(other))

    def __ge__(self, other: object) -> bool:
        return int(self) >= int(Dimension(other))


def as_size(value: object) -> Size:
    """An integer or None from what a program may write for a dim; TypeError or ValueError else."""
    if value is None:
        return None
    if isinstance(value, Dimension):
        return value.value
    if isinstance(value, SupportsIndex):
        size = value.__index__()
    elif isinstance(value, float | np.floating) and float(value).is_integer():
        size = int(value)
    else:
        raise TypeError(f"Dimension value must be integer or None or have an __index__: {value!r}")
    if size < 0:
        raise ValueError(f"Dimension {size} must be >= 0")
    return size


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
            raise ValueError(f"Shapes {self} and {TensorShape(other)} are incompatible")

    def merge_with(self, other: object) -> TensorShape:
        """What both know together; ValueError if they contradict each other."""
        return TensorShape(merge(self.sizes, as_sizes(other)))

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
