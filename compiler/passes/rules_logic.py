"""Rules of canonicalize for comparisons, bits and choices; each is exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array, Op, Value
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rule
from tensorkiln.compiler.passes.rules_arithmetic import (
    constant_right,
    is_constant,
    same_operands,
)

_SWAPPED = {"EQ": "EQ", "NE": "NE", "LT": "GT", "LE": "GE", "GT": "LT", "GE": "LE"}
_NEGATED = {"EQ": "NE", "NE": "EQ", "LT": "GE", "LE": "GT", "GT": "LE", "GE": "LT"}
_REFLEXIVE = ("EQ", "LE", "GE")


def compare(rewriter: Rewriter, op: Op) -> Replacement:
    """Constants to the right; a comparison of a value with itself where NaN does not matter."""
    x, y = op.operands
    direction = op.string("direction")
    if x is y and (not x.dtype.is_float or direction in ("LT", "GT")):
        return _bools(rewriter, op, direction in _REFLEXIVE)
    # c < x = x > c
    if is_constant(rewriter, x) and not is_constant(rewriter, y):
        return rewriter.one("compare", (y, x), direction=_SWAPPED[direction])
    return None


def logical_not(rewriter: Rewriter, op: Op) -> Replacement:
    """Negations of negations and of comparisons."""
    (x,) = op.operands
    if (inner := rewriter.producer(x, "not")) is not None:
        return inner.operands[0]
    compared = rewriter.producer(x, "compare")
    if compared is None:
        return None
    direction = compared.string("direction")
    # not (x < y) = x >= y, but not for NaN
    if compared.operands[0].dtype.is_float and direction not in ("EQ", "NE"):
        return None
    return rewriter.one("compare", compared.operands, direction=_NEGATED[direction])


def logical_and(rewriter: Rewriter, op: Op) -> Replacement:
    """x & 0 = 0, x & ~0 = x."""
    x, y = op.operands
    bits = _bits(rewriter.splat(y))
    if bits == "zeros":
        return y
    return x if bits == "ones" else None


def logical_or(rewriter: Rewriter, op: Op) -> Replacement:
    """x | 0 = x, x | ~0 = ~0."""
    x, y = op.operands
    bits = _bits(rewriter.splat(y))
    if bits == "zeros":
        return x
    return y if bits == "ones" else None


def logical_xor(rewriter: Rewriter, op: Op) -> Replacement:
    """x ^ 0 = x, x ^ ~0 = ~x, x ^ x = 0."""
    x, y = op.operands
    if x is y:
        return rewriter.splat_like(np.zeros((), x.dtype.numpy), x)
    bits = _bits(rewriter.splat(y))
    if bits == "zeros":
        return x
    return rewriter.one("not", (x,)) if bits == "ones" else None


def absorb(rewriter: Rewriter, op: Op) -> Replacement:
    """x & (x | y) = x, x | (x & y) = x."""
    other = "or" if op.name == "and" else "and"
    for x, y in (op.operands, op.operands[::-1]):
        inner = rewriter.producer(y, other)
        if inner is not None and x in inner.operands:
            return x
    return None


def select(rewriter: Rewriter, op: Op) -> Replacement:
    """Choices that are none, and negated conditions."""
    condition, on_true, on_false = op.operands
    if on_true is on_false:
        return on_true
    constant = rewriter.splat(condition)
    if constant is not None:
        return on_true if constant.item() else on_false
    # not p ? a : b = p ? b : a
    if (inner := rewriter.producer(condition, "not")) is not None:
        return rewriter.one("select", (inner.operands[0], on_false, on_true))
    if op.result.type != condition.type:
        return None
    yes, no = rewriter.splat(on_true), rewriter.splat(on_false)
    if yes is None or no is None:
        return None
    if yes.item() == no.item():
        return on_true
    # p ? true : false = p, p ? false : true = not p
    return condition if yes.item() else rewriter.one("not", (condition,))


def shift_by_zero(rewriter: Rewriter, op: Op) -> Replacement:
    """x shifted by 0 = x."""
    return op.operands[0] if _bits(rewriter.splat(op.operands[1])) == "zeros" else None


def _bits(array: Array | None) -> str:
    if array is None or array.dtype.kind not in "biu":
        return ""
    data = set(array.tobytes())
    if data == {0}:
        return "zeros"
    return "ones" if data == ({1} if array.dtype == np.bool_ else {255}) else ""


def _bools(rewriter: Rewriter, op: Op, value: bool) -> Value:
    return rewriter.splat_like(np.asarray(value), op.result)


RULES: dict[str, Sequence[Rule]] = {
    "compare": (compare,),
    "not": (logical_not,),
    "and": (constant_right, same_operands, logical_and, absorb),
    "or": (constant_right, same_operands, logical_or, absorb),
    "xor": (constant_right, logical_xor),
    "select": (select,),
    "shift_left": (shift_by_zero,),
    "shift_right_arithmetic": (shift_by_zero,),
    "shift_right_logical": (shift_by_zero,),
}
