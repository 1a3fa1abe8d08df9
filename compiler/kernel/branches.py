"""What conditions of branches tell of each other and of the names in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Const, Expr, Var


def exclude(one: Expr, other: Expr) -> bool:
    """True if two conditions are `x < a` and `x >= b` of one index x, a <= b: never both hold."""
    if not isinstance(one, Binary) or not isinstance(other, Binary):
        return False
    if (one.op, other.op) == ("ge", "lt"):
        one, other = other, one
    same = one.left == other.left and one.left.dtype is INDEX
    if not same or (one.op, other.op) != ("lt", "ge"):
        return False
    ends = one.right, other.right
    return all(isinstance(end, Const) for end in ends) and _number(ends[0]) <= _number(ends[1])


def _number(constant: Expr) -> int:
    assert isinstance(constant, Const)
    return int(constant.value)


def least_under(conditions: Sequence[Expr], least: Mapping[str, int]) -> dict[str, int]:
    """The smallest numbers that names can be where conditions `count >= constant` hold as well."""
    found = dict(least)
    for condition in conditions:
        if not isinstance(condition, Binary) or condition.op != "ge":
            continue
        if not isinstance(condition.right, Const) or condition.left.dtype is not INDEX:
            continue
        terms, constant = ix.linear(condition.left)
        if len(terms) != 1:
            continue
        ((name, factor),) = terms.items()
        if isinstance(name, Var) and factor > 0:
            fewest = -((constant - _number(condition.right)) // factor)
            found[name.name] = max(found.get(name.name, 0), fewest)
    return found
