"""Dimensions: integers, ranged symbols, and affine expressions of symbols.

A symbol is a size that is known only when the compiled function is called (`batch: 1..64`).  An
`Affine` is `constant + sum(coefficient * symbol)`; every arithmetic here normalises, so equal
dims are equal Python values, and an affine without symbols is a plain `int`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.ir.names import spell_symbol


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named size with an inclusive range; `maximum` is None where it is unbounded.

    One with a `quotient` (a, d) is the whole part of a / d, and one with `factors` their product:
    other sizes tell them.
    """

    name: str
    minimum: int = 1
    maximum: int | None = None
    quotient: tuple[Affine, int] | None = None
    factors: tuple[Affine, ...] = ()

    @property
    def is_told(self) -> bool:
        """True if a call tells it itself."""
        return self.quotient is None and not self.factors


@dataclass(frozen=True, slots=True)
class Affine:
    """`constant + sum(coefficient * symbol)`, terms sorted by name, no zero coefficient."""

    terms: tuple[tuple[Symbol, int], ...]
    constant: int = 0

    def __str__(self) -> str:
        names = [(spell_symbol(s.name), c) for s, c in self.terms]
        parts = [name if c == 1 else f"{c}*{name}" for name, c in names]
        if self.constant:
            parts.append(str(self.constant))
        return "+".join(parts)


Dim: TypeAlias = int | Affine
Shape: TypeAlias = tuple[Dim, ...]


def symbol_dim(symbol: Symbol) -> Affine:
    """The dim whose size is `symbol`."""
    return Affine(((symbol, 1),))


def _normal(terms: Mapping[Symbol, int], constant: int) -> Dim:
    kept = tuple(sorted(((s, c) for s, c in terms.items() if c), key=lambda t: t[0].name))
    return Affine(kept, constant) if kept else constant


def _parts(dim: Dim) -> tuple[dict[Symbol, int], int]:
    if isinstance(dim, Affine):
        return dict(dim.terms), dim.constant
    return {}, dim


def add_dims(a: Dim, b: Dim) -> Dim:
    """`a + b`."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    terms, constant = _parts(a)
    other, more = _parts(b)
    for symbol, coefficient in other.items():
        terms[symbol] = terms.get(symbol, 0) + coefficient
    return _normal(terms, constant + more)


def scale_dim(a: Dim, factor: int) -> Dim:
    """`a * factor`."""
    terms, constant = _parts(a)
    return _normal({s: c * factor for s, c in terms.items()}, constant * factor)


def multiply_dims(a: Dim, b: Dim) -> Dim:
    """`a * b`, multiplied out: equal polynomials of sizes are equal dims.

    A product of sizes is a symbol whose factors are these, in the order of their names.
    """
    if isinstance(a, int):
        return scale_dim(b, a)
    if isinstance(b, int):
        return scale_dim(a, b)
    total = add_dims(scale_dim(a, b.constant), scale_dim(b, a.constant))
    total = add_dims(total, -a.constant * b.constant)
    for s, c in a.terms:
        for t, d in b.terms:
            total = add_dims(total, scale_dim(symbol_dim(_product(s, t)), c * d))
    return total


def _product(a: Symbol, b: Symbol) -> Symbol:
    factors = sorted((f for s in (a, b) for f in (s.factors or (symbol_dim(s),))), key=str)
    tops = [s.maximum for s in (a, b)]
    most = None if None in tops else math.prod(top for top in tops if top is not None)
    name = ".times.".join(".".join(s.name for s, _ in f.terms) for f in factors)
    return Symbol(name, a.minimum * b.minimum, most, factors=tuple(factors))


def static(dim: Dim) -> int | None:
    """The size if it is known at compile time, else None."""
    return dim if isinstance(dim, int) else None


def is_static(shape: Iterable[Dim]) -> bool:
    """True if every dim is an integer."""
    return all(isinstance(dim, int) for dim in shape)


def symbols_of(shape: Iterable[Dim]) -> list[Symbol]:
    """The symbols a shape uses, in order of first use."""
    found: dict[Symbol, None] = {}
    for dim in shape:
        if isinstance(dim, Affine):
            found.update((symbol, None) for symbol, _ in dim.terms)
    return list(found)


def substitute(dim: Dim, sizes: Mapping[str, int]) -> Dim:
    """`dim` with the symbols named in `sizes` replaced by integers."""
    if isinstance(dim, int):
        return dim
    result: Dim = dim.constant
    for symbol, coefficient in dim.terms:
        size = sizes.get(symbol.name)
        term = _rounded(symbol, sizes) if size is None else size
        result = add_dims(result, scale_dim(term, coefficient))
    return result


def _rounded(symbol: Symbol, sizes: Mapping[str, int]) -> Dim:
    """A symbol that is not given, as others that are tell it."""
    if symbol.factors:
        known = [substitute(factor, sizes) for factor in symbol.factors]
        sure = [size for size in known if isinstance(size, int)]
        return math.prod(sure) if len(sure) == len(known) else symbol_dim(symbol)
    if symbol.quotient is None:
        return symbol_dim(symbol)
    over, divisor = symbol.quotient
    whole = substitute(over, sizes)
    return whole // divisor if isinstance(whole, int) else symbol_dim(symbol)


def least_dim(dim: Dim) -> float:
    """The least size that `dim` has within the ranges of its symbols; minus infinity if none is."""
    if isinstance(dim, int):
        return dim
    ends = [
        c * (s.minimum if c > 0 else math.inf if s.maximum is None else s.maximum)
        for s, c in dim.terms
    ]
    return dim.constant + sum(ends)


def divide_dim(dim: Dim, divisor: int) -> Dim | None:
    """The whole part of `dim / divisor`; None where `dim` may be negative.

    Equal sizes are equal dims: floor((floor((n + a) / b) + c) / d) is floor((n + a + b*c) / (b*d)).
    """
    if isinstance(dim, int):
        return dim // divisor
    if all(c % divisor == 0 for _, c in dim.terms):
        terms = {s: c // divisor for s, c in dim.terms}
        return _normal(terms, dim.constant // divisor)
    ((symbol, coefficient), *others) = dim.terms
    if symbol.quotient is not None and coefficient == 1 and not others:
        over, inner = symbol.quotient
        return divide_dim(add_dims(over, dim.constant * inner), divisor * inner)
    least, most = least_dim(dim), -least_dim(scale_dim(dim, -1))
    if least < 0:
        return None
    words = [s.name if c == 1 else f"{c}.{s.name}" for s, c in dim.terms]
    name = ".".join([*words, *([str(dim.constant)] if dim.constant else []), "by", str(divisor)])
    top = None if math.isinf(most) else int(most) // divisor
    return symbol_dim(Symbol(name, int(least) // divisor, top, (dim, divisor)))


def told_by(dims: Iterable[Dim]) -> tuple[list[Symbol], list[Symbol]]:
    """The symbols that dims need, each after those that it is made of: what a call tells, and
    quotients and products."""
    found: dict[Symbol, None] = {}

    def visit(dim: Dim) -> None:
        for symbol, _ in dim.terms if isinstance(dim, Affine) else ():
            if symbol.quotient is not None:
                visit(symbol.quotient[0])
            for factor in symbol.factors:
                visit(factor)
            found[symbol] = None

    for dim in dims:
        visit(dim)
    return [s for s in found if s.is_told], [s for s in found if not s.is_told]
