"""A model at several sizes, read side by side: what depends on the sizes, and how.

Front ends build functions of static shapes.  What a range of sizes changes in them is found by
building the model at a few points of the range: op by op the functions must be alike, and every
number that differs must be a simple function of the sizes that all points confirm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.bits import same_bits
from tensorkiln.compiler.ir.dims import Affine, Dim, Symbol, substitute, symbol_dim, told_by
from tensorkiln.compiler.ir.function import Array, Function, Op, Value
from tensorkiln.compiler.sizes.factors import Factor, Factors, closed, dense
from tensorkiln.compiler.sizes.fit import polynomial
from tensorkiln.compiler.sizes.points import Point, finer_points, first_points, size_at
from tensorkiln.runtime.errors import UnsupportedError

Make = Callable[[Point], Function]


@dataclass(frozen=True, slots=True)
class Fit:
    """`scale * base + offset`, where `base` is the product of the symbols, or 1 over it, or a root."""

    symbols: tuple[Symbol, ...]
    kind: str  # "product", "inverse", "root", "inverse_root"
    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """One op at every point; the first point has the capacities."""

    ops: tuple[Op, ...]
    space: Space

    @property
    def op(self) -> Op:
        """The op at the capacities."""
        return self.ops[0]

    def same(self, *names: str) -> bool:
        """True if these attributes do not depend on the sizes."""
        return all(
            other.attributes.get(name) == self.op.attributes.get(name)
            for other in self.ops[1:]
            for name in names
        )

    def dim(self, axis: int, result: int = 0) -> Factors:
        """A dim that the op makes, its size as the points tell it; elements lie densely."""
        return dense(self.merged(axis, result))

    def merged(self, axis: int, result: int = 0) -> Factors:
        """The same, but that a product of sizes may have a factor for each.

        That is right only where all places hold the same.
        """
        sizes = [op.results[result].shape[axis] for op in self.ops]
        dim = self.space.fit_dim(sizes)
        if dim is None:
            raise self.space.unsupported(self.op, f"a dim that is {_listed(sizes)} is no multiple")
        return dim

    def unsupported(self, why: str) -> UnsupportedError:
        """The error for an op whose dependence on the sizes is not understood."""
        return self.space.unsupported(self.op, why)


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))


class Space:
    """Symbols and the points at which a model is looked at, the capacities first."""

    def __init__(self, symbols: Sequence[Symbol], points: Sequence[Point]) -> None:
        self.symbols = tuple(symbols)
        self.points = list(points)
        self.quotients: dict[Symbol, int] = {}  # by which stride each was made of others
        self._turned = False

    @staticmethod
    def of(symbols: Sequence[Symbol], capacities: Mapping[str, int]) -> Space:
        """The symbols, and points that tell each from the others and from constants."""
        return Space(symbols, first_points(symbols, capacities))

    def finer(self) -> Space:
        """The same with points for the values of the quotients that have been found."""
        return Space(self.symbols, finer_points(self.points, self.symbols, self.quotients))

    def learn(self, dim: Dim, stride: int) -> None:
        """Takes note of quotients that a stride makes of sizes; other dims may be these as well."""
        for symbol in told_by([dim])[1]:
            if symbol.quotient is None:
                continue
            self.quotients[symbol] = math.lcm(stride, self.quotients.get(symbol, 1))

    def turned(self) -> Space:
        """The same, but that dims which are products of symbols have the last one outermost."""
        other = Space(self.symbols, self.points)
        other.quotients = self.quotients
        other._turned = not self._turned
        return other

    def unsupported(self, op: Op, why: str) -> UnsupportedError:
        """An error that names the op and the open sizes."""
        names = ", ".join(symbol.name for symbol in self.symbols)
        place = f" ({op.location})" if str(op.location) else ""
        return UnsupportedError(
            f"{op.name}{place} cannot be compiled for a range of {names}: {why};"
            " give one size for each dim that it depends on"
        )

    def fit_dim(self, sizes: Sequence[int]) -> Factors | None:
        """The dim with these sizes at the points, None if no simple one has them."""
        if len(set(sizes)) == 1:
            return closed(sizes[0])
        for symbol in self.symbols:
            extent = self._affine((symbol,), sizes)
            if extent is not None:
                return (Factor(sizes[0], extent),)
        for chosen in self._products():
            dim = self._product(chosen, sizes) if len(chosen) > 1 else None
            if dim is not None:
                return dim
            plain = len(set(chosen)) == len(chosen) and set(chosen) <= set(self.symbols)
            extent = self._affine(chosen, sizes) if plain else None
            if extent is not None:
                return (Factor(sizes[0], extent),)
        found = [extent for q in self.quotients if (extent := self._of_quotient(q, sizes))]
        if len(found) == 1:
            return (Factor(sizes[0], found[0]),)
        whole = polynomial((*self.symbols, *self.quotients), self.points, sizes)
        return None if whole is None else (Factor(sizes[0], whole),)

    def _products(self) -> Iterator[tuple[Symbol, ...]]:
        """Symbols to be multiplied, fewest first; one may be there twice, as in n x n places."""
        every = (*self.symbols, *self.quotients)
        for count in range(1, len(self.symbols) + 2):
            yield from itertools.combinations_with_replacement(every, count)

    def affine(self, values: Sequence[int]) -> Dim | None:
        """The values at the points as an affine of symbols and of products of them, None if they
        are not."""
        if len(set(values)) == 1:
            return values[0]
        for count in range(1, len(self.symbols) + 1):
            for chosen in itertools.combinations(self.symbols, count):
                found = self._affine(chosen, values)
                if found is not None:
                    return found
        return polynomial((*self.symbols, *self.quotients), self.points, values)

    def _affine(self, symbols: Sequence[Symbol], values: Sequence[int]) -> Affine | None:
        """An affine of just these symbols, each with a slope of its own."""
        top = self.points[0]
        terms: list[tuple[Symbol, int]] = []
        for symbol in symbols:
            alone = [
                k
                for k, point in enumerate(self.points)
                if all((n != top[name]) == (name == symbol.name) for name, n in point.items())
            ]
            if not alone:
                return None
            run = top[symbol.name] - self.points[alone[0]][symbol.name]
            slope, rest = divmod(values[0] - values[alone[0]], run)
            if rest or not slope:
                return None
            terms.append((symbol, slope))
        constant = values[0] - sum(slope * top[symbol.name] for symbol, slope in terms)
        found = Affine(tuple(sorted(terms, key=lambda term: term[0].name)), constant)
        fits = all(
            substitute(found, point) == value
            for point, value in zip(self.points, values, strict=True)
        )
        return found if fits else None

    def _of_quotient(self, symbol: Symbol, values: Sequence[int]) -> Affine | None:
        """An affine of one quotient."""
        base = [size_at(symbol, point) for point in self.points]
        other = next((k for k, n in enumerate(base) if n != base[0]), None)
        if other is None:
            return None
        slope, rest = divmod(values[0] - values[other], base[0] - base[other])
        constant = values[0] - slope * base[0]
        fits = all(slope * n + constant == v for n, v in zip(base, values, strict=True))
        return Affine(((symbol, slope),), constant) if fits and slope and not rest else None

    def _product(self, symbols: Sequence[Symbol], sizes: Sequence[int]) -> Factors | None:
        products = [math.prod(size_at(s, point) for s in symbols) for point in self.points]
        scale, rest = divmod(sizes[0], products[0])
        if rest or any(scale * p != size for p, size in zip(products, sizes, strict=True)):
            return None
        capacities = self.points[0]
        *outer, inner = reversed(symbols) if self._turned else symbols
        found = [Factor(size_at(s, capacities), symbol_dim(s)) for s in outer]
        last = Factor(size_at(inner, capacities) * scale, Affine(((inner, scale),)))
        return (*found, last)

    def fit_number(self, values: Sequence[float]) -> Fit | None:
        """The values at the points as a function of a product of symbols, None if there is none."""
        for chosen in self._products():
            products = [
                float(math.prod(size_at(s, point) for s in chosen)) for point in self.points
            ]
            for kind, base in _BASES.items():
                fit = _line([base(p) for p in products], values)
                if fit is not None:
                    return Fit(chosen, kind, *fit)
        return None


_BASES: Mapping[str, Callable[[float], float]] = {
    "product": lambda p: p,
    "inverse": lambda p: 1 / p,
    "root": math.sqrt,
    "inverse_root": lambda p: 1 / math.sqrt(p),
}


def _line(base: Sequence[float], values: Sequence[float]) -> tuple[float, float] | None:
    other = next((k for k, b in enumerate(base) if b != base[0]), None)
    if other is None or not all(map(math.isfinite, values)):
        return None
    near = 1e-6 * max(map(abs, values))
    slope = (values[0] - values[other]) / (base[0] - base[other])
    rest = values[0] - slope * base[0]
    whole = float(round(slope)) == slope
    # Most often there is no offset, and rounding should not invent one.
    lines = [(values[0] / base[0], 0.0), (slope, float(round(rest)) if whole else rest)]
    for scale, offset in lines:
        found = [scale * b + offset for b in base]
        if scale and all(abs(f - v) <= near for f, v in zip(found, values, strict=True)):
            return scale, offset
    return None


def sample(make: Make, space: Space) -> list[Function]:
    """The model at every point; UnsupportedError if it is another program at another size."""
    return aligned([make(point) for point in space.points], space)


def aligned(functions: list[Function], space: Space) -> list[Function]:
    """The functions themselves; UnsupportedError if they are not alike op by op."""
    first = functions[0]
    for function in functions[1:]:
        if len(function.ops) != len(first.ops):
            _differs(first, function, space)
        position = {v: k for k, v in enumerate(_values(first))}
        theirs = {v: k for k, v in enumerate(_values(function))}
        for a, b in zip(first.ops, function.ops, strict=True):
            reads = [position[v] for v in a.operands] == [theirs[v] for v in b.operands]
            if a.name != b.name or not reads or len(a.regions) != len(b.regions):
                raise space.unsupported(a, f"at another size {b.name} is in its place")
    return functions


def _values(function: Function) -> list[Value]:
    return [*function.parameters, *(v for op in function.ops for v in op.results)]


def _differs(a: Function, b: Function, space: Space) -> None:
    for x, y in zip(a.ops, b.ops, strict=False):
        if x.name != y.name:
            raise space.unsupported(x, f"at another size {y.name} is in its place")
    raise space.unsupported(
        (a if len(a.ops) > len(b.ops) else b).ops[-1], "it is there at some sizes only"
    )


def equal_arrays(arrays: Sequence[Array]) -> bool:
    """True if all arrays have the same dtype, shape and bits."""
    return all(same_bits(array, arrays[0]) for array in arrays[1:])


def same_start(a: Array, b: Array) -> bool:
    """True if the boxes at the start of `a` and `b` that both have are equal."""
    if a is b:
        return True
    if a.ndim != b.ndim:
        return False
    common = tuple(slice(0, min(sizes)) for sizes in zip(a.shape, b.shape, strict=True))
    return np.array_equal(a[common], b[common], equal_nan=a.dtype.kind == "f")
