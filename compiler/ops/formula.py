"""Arithmetic written as formulas, for gradients and the bodies of composites."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Attribute, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder


class Formula:
    """A value with operators that append ops; numbers and other shapes broadcast as in numpy."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: Builder, value: Value) -> None:
        self.builder = builder
        self.value = value

    def apply(self, name: str, **attributes: Attribute) -> Formula:
        """The op `name` of this value."""
        return Formula(self.builder, self.builder.one(name, (self.value,), **attributes))

    def join(self, name: str, other: Formula | float) -> Formula:
        """The op `name` of this value and another."""
        return self._binary(name, other)

    def full(self, value: float) -> Formula:
        """`value` in the shape and dtype of this."""
        return Formula(self.builder, shorthand.full_like(self.builder, self.value, value))

    def compare(self, direction: str, other: Formula | float) -> Formula:
        """Where EQ NE LT LE GT or GE holds."""
        builder = self.builder
        return Formula(
            builder, shorthand.compare(builder, direction, self.value, self._lift(other))
        )

    def keep(self, x: Formula) -> Formula:
        """`x` where this condition holds, else 0."""
        return self.select(x, 0.0)

    def drop(self, x: Formula) -> Formula:
        """0 where this condition holds, else `x`."""
        zero = Formula(self.builder, shorthand.scalar(self.builder, 0, x.value.dtype))
        return self.select(zero, x)

    def select(self, on_true: Formula, on_false: Formula | float) -> Formula:
        """`on_true` where this condition holds, else `on_false`."""
        other = on_true._lift(on_false)
        value = shorthand.select(self.builder, self.value, on_true.value, other)
        return Formula(self.builder, value)

    def sum(self, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Formula:
        """The sum over `axes`."""
        return self.reduce("add", axes, keep_dims)

    def mean(self, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Formula:
        """The mean over `axes`."""
        value = shorthand.reduce_mean(self.builder, self.value, axes, keep_dims)
        return Formula(self.builder, value)

    def reduce(
        self, reducer: str, axes: Sequence[int] | None = None, keep_dims: bool = False
    ) -> Formula:
        """The fold by `reducer` over `axes`."""
        value = shorthand.reduce(self.builder, self.value, reducer, axes, keep_dims)
        return Formula(self.builder, value)

    def maximum(self, other: Formula | float) -> Formula:
        """The greater one, elementwise."""
        return self._binary("maximum", other)

    def convert(self, dtype: DType) -> Formula:
        """This value in another dtype."""
        return Formula(self.builder, shorthand.convert(self.builder, self.value, dtype))

    def __neg__(self) -> Formula:
        return self.apply("negate")

    def __add__(self, other: Formula | float) -> Formula:
        return self._binary("add", other)

    def __radd__(self, other: float) -> Formula:
        return self._reflected("add", other)

    def __sub__(self, other: Formula | float) -> Formula:
        return self._binary("subtract", other)

    def __rsub__(self, other: float) -> Formula:
        return self._reflected("subtract", other)

    def __mul__(self, other: Formula | float) -> Formula:
        return self._binary("multiply", other)

    def __rmul__(self, other: float) -> Formula:
        return self._reflected("multiply", other)

    def __truediv__(self, other: Formula | float) -> Formula:
        return self._binary("divide", other)

    def __rtruediv__(self, other: float) -> Formula:
        return self._reflected("divide", other)

    def __pow__(self, other: Formula | float) -> Formula:
        return self._binary("power", other)

    def _lift(self, other: Formula | float) -> Value:
        if isinstance(other, Formula):
            return other.value
        return shorthand.scalar(self.builder, other, self.value.dtype)

    def _binary(self, name: str, other: Formula | float) -> Formula:
        value = shorthand.binary(self.builder, name, self.value, self._lift(other))
        return Formula(self.builder, value)

    def _reflected(self, name: str, other: float) -> Formula:
        value = shorthand.binary(self.builder, name, self._lift(other), self.value)
        return Formula(self.builder, value)


def formulas(builder: Builder, *values: Value) -> tuple[Formula, ...]:
    """The values as formulas."""
    return tuple(Formula(builder, value) for value in values)
