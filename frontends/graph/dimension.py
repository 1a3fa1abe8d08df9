"""One dim of a static shape: TensorFlow's Dimension."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex, TypeAlias

import numpy as np

Size: TypeAlias = int | None
"""A dim's size, None where it is not known."""


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

    def assert_is_compatible_with(self, other: object) -> None:
        """Raises ValueError unless both can be the same size."""
        self.merge_with(other)

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

    def __truediv__(self, other: object) -> NoReturn:
        raise TypeError(
            f"unsupported operand type(s) for /: 'Dimension' and '{type(other).__name__}', please "
            "use // instead"
        )

    def __rtruediv__(self, other: object) -> NoReturn:
        raise TypeError(
            f"unsupported operand type(s) for /: '{type(other).__name__}' and 'Dimension', please "
            "use // instead"
        )

    def __rmod__(self, other: object) -> Dimension:
        return Dimension(other) % self

    def __mod__(self, other: object) -> Dimension:
        size = as_size(other)
        return Dimension(None if self.value is None or size is None else self.value % size)

    def __lt__(self, other: object) -> bool:
        size = as_size(other)
        if self.value is None or size is None:
            return None  # type: ignore[return-value]
        return self.value < size

    def __le__(self, other: object) -> bool:
        size = as_size(other)
        if self.value is None or size is None:
            return None  # type: ignore[return-value]
        return self.value <= size

    def __gt__(self, other: object) -> bool:
        return Dimension(other) < self

    def __ge__(self, other: object) -> bool:
        return Dimension(other) <= self


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
        raise TypeError(
            "Dimension value must be integer or None or have an __index__ method, got value "
            f"'{value!r}' with type '{type(value)!r}'"
        )
    if size < 0:
        raise ValueError(f"Dimension {size} must be >= 0")
    return size
