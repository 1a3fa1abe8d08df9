"""The type of a value: a shape and a dtype."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensorkiln.compiler.ir.dims import Dim, Shape, is_static
from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.runtime.errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class TensorType:
    """A tensor's shape (dims outermost first) and dtype; a scalar has shape `()`."""

    shape: Shape
    dtype: DType

    @property
    def rank(self) -> int:
        """Number of dims."""
        return len(self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape as integers; UnsupportedError if a dim is symbolic."""
        if not is_static(self.shape):
            raise UnsupportedError(f"{self} has a symbolic dim where a static shape is needed")
        return tuple(dim for dim in self.shape if isinstance(dim, int))

    @property
    def elements(self) -> int:
        """Number of elements (1 for a scalar); the shape must be static."""
        return math.prod(self.sizes)

    @property
    def bytes(self) -> int:
        """Size in bytes of a dense row-major buffer; the shape must be static."""
        return self.elements * self.dtype.bytes

    def with_shape(self, shape: tuple[Dim, ...]) -> TensorType:
        """The same dtype with another shape."""
        return TensorType(tuple(shape), self.dtype)

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape with another dtype."""
        return TensorType(self.shape, dtype)

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"
