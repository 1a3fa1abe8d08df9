"""The canonical form of tensor IR."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.passes import (
    rules_arithmetic,
    rules_logic,
    rules_reduce,
    rules_scatter,
    rules_shape,
    rules_slices,
    rules_updates,
)
from tensorkiln.compiler.passes.rewriting import merged, until_stable


def canonicalize(function: Function) -> Function:
    """Brings the function to a form in which equal meanings mostly have equal texts.

        %0 = constant() {value = f32[] 2.0}
        %1 = broadcast_in_dim(%0) {shape = (4, 3), dimensions = ()}
        %2 = power(%x, %1)                                             %2 = multiply(%x, %x)
        %3 = transpose(%2) {permutation = (1, 0)}                ->    return %2
        %4 = transpose(%3) {permutation = (1, 0)}
        return %4

    Afterwards: no op is an identity; chains of reshape, transpose, broadcast_in_dim, slice,
    concatenate and lossless convert are one op; a constant of equal elements is a broadcast
    scalar; constants are right operands of commutative ops; an op that only moves dims of size 1
    is a reshape; what is empty is a constant; no op is dead.  Every rule is exact: results keep
    their bits, but for NaN payloads, the sign of a zero that is a maximum or minimum of unlike
    zeros or a sum of one -0, and powers by 2, 1/2 and -1, which become better rounded.

    Runs after differentiation, since stop_gradient is an identity here.
    """
    return until_stable(function, RULES)


RULES = merged(
    rules_arithmetic.RULES,
    rules_logic.RULES,
    rules_shape.RULES,
    rules_slices.RULES,
    rules_reduce.RULES,
    rules_scatter.RULES,
    rules_updates.RULES,
)
