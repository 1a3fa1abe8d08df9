"""Loops over formulas: every element goes on until the last one has converged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.shorthand import reduce, scalar
from tensorkiln.compiler.ops.shorthand_control import while_loop

Step = Callable[[Formula, Sequence[Formula]], Sequence[Formula]]
Going = Callable[[Sequence[Formula]], Formula]


def iterate(start: Sequence[Formula], step: Step, going: Going, bound: int) -> list[Formula]:
    """`values = step(k, values)` for k = 1, 2, ..., `bound` while `going(values)` holds anywhere.

    What a step needs must be among the values; all have the dtype of the first, as k has.
    """
    builder = start[0].builder

    def body(inner: Builder, carried: Sequence[Value]) -> Sequence[Value]:
        k, *rest = (Formula(inner, v) for v in carried)
        following = k + 1
        after = step(following.convert(rest[0].value.dtype), rest)
        return [following.value, *(f.value for f in after)]

    def cond(inner: Builder, carried: Sequence[Value]) -> Value:
        k, *rest = (Formula(inner, v) for v in carried)
        anywhere = Formula(inner, reduce(inner, going(rest).value, "or"))
        return k.compare("LT", bound).join("and", anywhere).value

    zero = scalar(builder, 0, I32)
    found = while_loop(builder, cond, body, [zero, *(f.value for f in start)], bound)
    return [Formula(builder, v) for v in found[1:]]


def either(first: Formula, second: Formula) -> Formula:
    """Where one of two conditions holds."""
    return first.join("or", second)


def polynomial(x: Formula, coefficients: Sequence[float]) -> Formula:
    """The polynomial with these coefficients, the lowest power first, by Horner's rule."""
    found = x.full(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        found = found * x + coefficient
    return found
