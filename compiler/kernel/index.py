"""Index arithmetic that simplifies as it builds.

An index expression is kept as `constant + sum(coefficient * atom)`, where an atom is a variable,
a load, a floordiv or a mod.  Loop variables carry their extent, so ranges need no environment.
The algebra used (d > 0):

    (d*x + r) floordiv d  = x + r floordiv d          r floordiv d = 0 and r mod d = r if 0 <= r < d
    (x floordiv a + c) floordiv b = (x + a*c) floordiv (a*b)    (x mod (a*d)) mod d = x mod d
    (x mod (a*d)) floordiv d = (x floordiv d) mod a   d*(x floordiv d) + x mod d = x
    (g*x + r) floordiv (g*d) = x floordiv d and (g*x + r) mod (g*d) = g*(x mod d) + r if 0 <= r < g
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Const,
    Expr,
    Index,
    Select,
    Var,
    children,
)

_UNBOUNDED = 1 << 62


def const(value: int) -> Const:
    """An index literal."""
    return Const(value, INDEX)


ZERO = const(0)


def linear(expr: Expr) -> tuple[dict[Expr, int], int]:
    """`expr` as ({atom: coefficient}, constant)."""
    match expr:
        case Const(value):
            return {}, int(value)
        case Var(_, _, 1):
            return {}, 0
        case Binary("add", a, b):
            terms, constant = linear(a)
            other, more = linear(b)
            return _sum(terms, other, 1), constant + more
        case Binary("sub", a, b):
            terms, constant = linear(a)
            other, more = linear(b)
            return _sum(terms, other, -1), constant - more
        case Binary("mul", a, Const(value)) | Binary("mul", Const(value), a):
            terms, constant = linear(a)
            factor = int(value)
            return {t: c * factor for t, c in terms.items() if factor}, constant * factor
        case _:
            return {expr: 1}, 0


def _sum(a: dict[Expr, int], b: Mapping[Expr, int], factor: int) -> dict[Expr, int]:
    total = dict(a)
    for atom, coefficient in b.items():
        total[atom] = total.get(atom, 0) + coefficient * factor
        if not total[atom]:
            del total[atom]
    return total


def from_linear(terms: Mapping[Expr, int], constant: int) -> Expr:
    """The expression of a linear form, with floordiv and mod of one value put together again."""
    terms, constant = _recombine(dict(terms), constant)
    result: Expr | None = None
    for atom, coefficient in terms.items():
        term = atom if coefficient == 1 else Binary("mul", atom, const(coefficient))
        result = term if result is None else Binary("add", result, term)
    if result is None:
        return const(constant)
    return Binary("add", result, const(constant)) if constant else result


def _recombine(terms: dict[Expr, int], constant: int) -> tuple[dict[Expr, int], int]:
    # c*d*(x floordiv d) + c*(x mod d) = c*x
    for atom, coefficient in terms.items():
        match atom:
            case Binary("mod", x, Const(d)):
                quotient = floordiv(x, int(d))
                if terms.get(quotient) == coefficient * int(d):
                    rest = {t: c for t, c in terms.items() if t not in (atom, quotient)}
                    inner, offset = linear(x)
                    return _recombine(
                        _sum(rest, inner, coefficient), constant + coefficient * offset
                    )
    return terms, constant


def bounds(expr: Expr) -> tuple[int, int]:
    """The inclusive range of an index expression; very wide where nothing is known."""
    match expr:
        case Const(value):
            return int(value), int(value)
        case Var(_, _, extent) if extent is not None:
            return 0, max(extent - 1, 0)
        case Binary("mod", x, Const(d)):
            low, high = bounds(x)
            return (low, high) if low >= 0 and high < int(d) else (0, int(d) - 1)
        case Binary("floordiv", x, Const(d)):
            low, high = bounds(x)
            return low // int(d), high // int(d)
        case Binary("min", a, b):
            (la, ha), (lb, hb) = bounds(a), bounds(b)
            return min(la, lb), min(ha, hb)
        case Binary("max", a, b):
            (la, ha), (lb, hb) = bounds(a), bounds(b)
            return max(la, lb), max(ha, hb)
        case Binary("add" | "sub" | "mul", _, _):
            terms, low = linear(expr)
            high = low
            if expr in terms:
                return -_UNBOUNDED, _UNBOUNDED
            for atom, coefficient in terms.items():
                ends = [coefficient * end for end in bounds(atom)]
                low, high = low + min(ends), high + max(ends)
            return max(low, -_UNBOUNDED), min(high, _UNBOUNDED)
        case Select(_, a, b):
            (la, ha), (lb, hb) = bounds(a), bounds(b)
            return min(la, lb), max(ha, hb)
        case _:
            return -_UNBOUNDED, _UNBOUNDED


def add(a: Expr, b: Expr) -> Expr:
    """`a + b`."""
    terms, constant = linear(a)
    other, more = linear(b)
    return from_linear(_sum(terms, other, 1), constant + more)


def sub(a: Expr, b: Expr) -> Expr:
    """`a - b`."""
    terms, constant = linear(a)
    other, more = linear(b)
    return from_linear(_sum(terms, other, -1), constant - more)


def mul(a: Expr, factor: int) -> Expr:
    """`a * factor`."""
    terms, constant = linear(a)
    return from_linear({t: c * factor for t, c in terms.items() if factor}, constant * factor)


def floordiv(a: Expr, divisor: int) -> Expr:
    """`a // divisor`, divisor > 0."""
    if divisor == 1:
        return a
    terms, constant = linear(a)
    whole = {t: c // divisor for t, c in terms.items() if c % divisor == 0}
    rest = {t: c for t, c in terms.items() if c % divisor}
    quotient = constant // divisor
    remainder = from_linear(rest, constant % divisor)
    low, high = bounds(remainder)
    if low >= 0 and high < divisor:
        return from_linear(whole, quotient)
    return add(from_linear(whole, quotient), _divide(rest, constant % divisor, divisor))


def _split(terms: dict[Expr, int], constant: int, divisor: int) -> tuple[int, Expr, Expr] | None:
    """(g, x, r) with g*x + r the linear form, g > 1 a divisor of `divisor`, and 0 <= r < g."""
    atoms = sorted(terms, key=lambda t: math.gcd(divisor, terms[t]))
    for low in range(len(atoms)):
        shared = math.gcd(divisor, *(terms[t] for t in atoms[low:]))
        if shared == 1:
            continue
        rest = from_linear({t: terms[t] for t in atoms[:low]}, constant % shared)
        least, most = bounds(rest)
        if least >= 0 and most < shared:
            whole = {t: terms[t] // shared for t in atoms[low:]}
            return shared, from_linear(whole, constant // shared), rest
    return None


def _divide(rest: dict[Expr, int], constant: int, divisor: int) -> Expr:
    parts = _split(rest, constant, divisor)
    if parts is not None:
        shared, whole, _ = parts
        return floordiv(whole, divisor // shared)
    expr = from_linear(rest, constant)
    terms, constant = linear(expr)
    if len(terms) == 1:
        match next(iter(terms.items())):
            case Binary("floordiv", x, Const(inner)), 1:
                return floordiv(add(x, const(constant * int(inner))), int(inner) * divisor)
    match expr:
        case Binary("mod", x, Const(inner)) if int(inner) % divisor == 0:
            return mod(floordiv(x, divisor), int(inner) // divisor)
        case _:
            return Binary("floordiv", expr, const(divisor))


def mod(a: Expr, divisor: int) -> Expr:
    """`a % divisor` with the sign of the divisor, divisor > 0."""
    if divisor == 1:
        return ZERO
    terms, constant = linear(a)
    rest = {t: c for t, c in terms.items() if c % divisor}
    expr = from_linear(rest, constant % divisor)
    low, high = bounds(expr)
    if low >= 0 and high < divisor:
        return expr
    parts = _split(rest, constant % divisor, divisor)
    if parts is not None:
        shared, whole, remainder = parts
        return add(mul(mod(whole, divisor // shared), shared), remainder)
    match expr:
        case Binary("mod", x, Const(modulus)) if int(modulus) % divisor == 0:
            return mod(x, divisor)
        case _:
            return Binary("mod", expr, const(divisor))


def flatten(index: Index, strides: tuple[int, ...]) -> Expr:
    """`sum(index[k] * strides[k])`."""
    terms: dict[Expr, int] = {}
    constant = 0
    for expr, stride in zip(index, strides, strict=True):
        more, offset = linear(expr)
        terms = _sum(terms, more, stride) if stride else terms
        constant += offset * stride
    return from_linear(terms, constant)


def unflatten(flat: Expr, shape: tuple[int, ...]) -> Index:
    """The row-major index in `shape` of the element number `flat` (zeros if there is none)."""
    if 0 in shape:
        return (ZERO,) * len(shape)
    index: list[Expr] = []
    for axis, size in enumerate(shape):
        inner = math.prod(shape[axis + 1 :])
        quotient = floordiv(flat, inner) if inner > 1 else flat
        low, high = bounds(quotient)
        index.append(quotient if axis == 0 and low >= 0 and high < size else mod(quotient, size))
    return tuple(index)


def depends(expr: Expr, name: str) -> bool:
    """True if the variable `name` occurs in `expr`."""
    if isinstance(expr, Var):
        return expr.name == name
    return any(depends(child, name) for child in children(expr))
