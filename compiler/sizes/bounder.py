"""What rules for open sizes work with: values at capacity, their dims, masks and size arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.ir.dims import Affine, Dim, Symbol
from tensorkiln.compiler.ir.dtypes import I32, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_in_dim,
    compare,
    convert,
    iota,
    scalar,
    select,
)
from tensorkiln.compiler.sizes.factors import Dims, Factors, is_open
from tensorkiln.compiler.sizes.samples import Fit, Sampled

PREFIX = "size."  # before a symbol's name: the parameter that tells its size


@dataclass(frozen=True, slots=True)
class Open:
    """A value at capacity, and how much of each dim is in use.

    Along `uniform` dims all places, whether in use or not, hold the same: such a dim is also any
    other one of its size.
    """

    value: Value
    dims: Dims
    uniform: frozenset[int] = frozenset()

    @property
    def is_open(self) -> bool:
        """True if a dim's size depends on the call."""
        return any(map(is_open, self.dims))


Rule: TypeAlias = "Callable[[Bounder, Sampled, Sequence[Open]], Sequence[Open]]"


class Bounder:
    """A function under construction whose shapes are capacities."""

    def __init__(self, name: str, rules: Mapping[str, Rule]) -> None:
        self.builder = Builder(REGISTRY, name)
        self.rules = rules
        self.sizes: dict[Symbol, Value] = {}
        self._made: dict[Symbol, Value] = {}
        self._extents: dict[Dim, Value] = {}
        self._masks: dict[tuple[tuple[int, ...], Dims], Value | None] = {}

    def size_parameters(self, symbols: Sequence[Symbol]) -> None:
        """Adds the parameters that tell the sizes of a call: i32 scalars, one a symbol."""
        for symbol in symbols:
            kind = TensorType((), I32)
            self.sizes[symbol] = self.builder.parameter(f"{PREFIX}{symbol.name}", kind)

    def size(self, symbol: Symbol) -> Value:
        """A symbol's size as an i32 scalar."""
        if symbol in self.sizes or symbol.is_told:
            return self.sizes[symbol]
        if symbol not in self._made:
            self._made[symbol] = self._make(symbol)
        return self._made[symbol]

    def _make(self, symbol: Symbol) -> Value:
        """A quotient or a product of other sizes."""
        if symbol.quotient is not None:
            over, divisor = symbol.quotient
            by = scalar(self.builder, divisor, I32)
            return binary(self.builder, "divide", self.extent(over), by)
        total, *others = map(self.extent, symbol.factors)
        for other in others:
            total = binary(self.builder, "multiply", total, other)
        return total

    def extent(self, dim: Dim) -> Value:
        """A number of elements as an i32 scalar."""
        if dim not in self._extents:
            self._extents[dim] = self._extent(dim)
        return self._extents[dim]

    def _extent(self, dim: Dim) -> Value:
        if not isinstance(dim, Affine):
            return scalar(self.builder, dim, I32)
        total: Value | None = scalar(self.builder, dim.constant, I32) if dim.constant else None
        for symbol, coefficient in dim.terms:
            term = self.size(symbol)
            if coefficient != 1:
                factor = scalar(self.builder, coefficient, I32)
                term = binary(self.builder, "multiply", term, factor)
            total = term if total is None else binary(self.builder, "add", total, term)
        assert total is not None
        return total

    def number(self, fit: Fit, dtype: DType) -> Value:
        """A scalar that depends on the sizes."""
        builder = self.builder
        # small integers are added up as i32, everything else in the dtype of the constant
        kind = dtype if dtype.is_float or dtype.bits == 64 else I32
        base: Value | None = None
        for symbol in fit.symbols:
            term = convert(builder, self.size(symbol), kind)
            base = term if base is None else binary(builder, "multiply", base, term)
        assert base is not None
        if fit.kind.endswith("root"):
            base = builder.one("sqrt", (base,))
        number = int if not dtype.is_float else float
        if fit.kind.startswith("inverse"):
            base = binary(builder, "divide", scalar(builder, number(fit.scale), kind), base)
        elif fit.scale != 1:
            base = binary(builder, "multiply", base, scalar(builder, number(fit.scale), kind))
        if fit.offset:
            base = binary(builder, "add", base, scalar(builder, number(fit.offset), kind))
        return convert(builder, base, dtype)

    def valid(self, shape: tuple[int, ...], dims: Dims) -> Value | None:
        """True where an element is in use, as bool of `shape`; None if all are."""
        key = (shape, dims)
        if key not in self._masks:
            self._masks[key] = self._valid(shape, dims)
        return self._masks[key]

    def _valid(self, shape: tuple[int, ...], dims: Dims) -> Value | None:
        builder = self.builder
        found: Value | None = None
        for axis, dim in enumerate(dims):
            inner = math.prod(factor.size for factor in dim)
            size = inner
            for factor in dim:
                outer, inner = inner, inner // factor.size
                if not factor.is_open:
                    continue
                place = iota(builder, (size,), 0, I32)
                if inner > 1:
                    place = binary(builder, "divide", place, scalar(builder, inner, I32))
                if outer < size:
                    place = binary(builder, "remainder", place, scalar(builder, factor.size, I32))
                used = compare(builder, "LT", place, self.extent(factor.extent))
                mask = broadcast_in_dim(builder, used, shape, (axis,))
                found = mask if found is None else binary(builder, "and", found, mask)
        return found

    def masked(self, x: Open, axes: Sequence[int], fill: Value) -> Value:
        """The value with the scalar `fill` where places along `axes` are not in use."""
        whole: list[Factors] = [dim if axis in axes else () for axis, dim in enumerate(x.dims)]
        valid = self.valid(x.value.shape, tuple(whole))
        if valid is None:
            return x.value
        return select(
            self.builder, valid, x.value, broadcast_in_dim(self.builder, fill, x.value.shape, ())
        )

    def masked_with(self, x: Open, axes: Sequence[int], fill: bool | int | float) -> Value:
        """`masked` with a number."""
        return self.masked(x, axes, scalar(self.builder, fill, x.value.dtype))
