"""The range of an index inside of loops, where it is certain that both ends are reached."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Var, children
from tensorkiln.compiler.kernel.stmt import For


def exact_range(expr: Expr, loops: Sequence[For]) -> tuple[int, int] | None:
    """The least and the greatest value that `expr` takes inside of `loops`, outermost first.

    None where that is not certain: a loop may not run at all or its bounds are not constant, a
    value is loaded or named by a let, or one variable counts in two ways.
    """
    ranges: dict[str, tuple[int, int]] = {}
    for loop in loops:
        values = _values(loop)
        if values is not None:
            if not values:
                return None
            ranges[loop.var.name] = values[0], values[-1]
        elif ix.bounds(loop.start)[1] >= ix.bounds(loop.stop)[0]:
            return None
    return _range(expr, ranges)


def _values(loop: For) -> range | None:
    if not (isinstance(loop.start, Const) and isinstance(loop.stop, Const)):
        return None
    return range(int(loop.start.value), int(loop.stop.value), loop.step)


def _range(expr: Expr, ranges: dict[str, tuple[int, int]]) -> tuple[int, int] | None:
    match expr:
        case Const(value):
            return int(value), int(value)
        case Var(name):
            return ranges.get(name)
        case Binary("floordiv", x, Const(divisor)):
            inner = _range(x, ranges)
            return None if inner is None else (inner[0] // int(divisor), inner[1] // int(divisor))
        case Binary("min" | "max" as op, a, b) if not _variables(a) & _variables(b):
            left, right = _range(a, ranges), _range(b, ranges)
            pick = min if op == "min" else max
            if left is None or right is None:
                return None
            return pick(left[0], right[0]), pick(left[1], right[1])
        case Binary("add" | "sub" | "mul", _, _):
            return _linear_range(expr, ranges)
        case _:
            return None


def _linear_range(expr: Expr, ranges: dict[str, tuple[int, int]]) -> tuple[int, int] | None:
    terms, low = ix.linear(expr)
    high = low
    seen: set[str] = set()
    for atom, coefficient in terms.items():
        found = None if atom == expr else _range(atom, ranges)
        if found is None or seen & _variables(atom):
            return None
        seen |= _variables(atom)
        ends = coefficient * found[0], coefficient * found[1]
        low, high = low + min(ends), high + max(ends)
    return low, high


def _variables(expr: Expr) -> set[str]:
    if isinstance(expr, Var):
        return {expr.name}
    return {name for child in children(expr) for name in _variables(child)}
