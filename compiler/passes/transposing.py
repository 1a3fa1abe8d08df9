"""Permutations, and values seen before a transpose."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.passes.rewriting import Rewriter


def inverse(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `permutation`."""
    return tuple(permutation.index(k) for k in range(len(permutation)))


def untransposed(rewriter: Rewriter, value: Value, permutation: tuple[int, ...]) -> Value | None:
    """The value whose transpose by `permutation` is `value`, if it costs nothing: its operand, a
    constant turned now, or a broadcast along other dims.  None otherwise."""
    inner = rewriter.producer(value, "transpose")
    if inner is not None and inner.ints("permutation") == permutation:
        return inner.operands[0]
    array = rewriter.literal(value)
    if array is not None:
        return rewriter.keep(array.transpose(inverse(permutation)))
    if rewriter.producer(value, "broadcast_in_dim") is not None:
        return shorthand.transpose(rewriter, value, inverse(permutation))
    return None
