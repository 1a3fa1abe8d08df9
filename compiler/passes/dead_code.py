"""Dead code."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.passes.rewriting import rewrite


def dead_code(function: Function) -> Function:
    """Removes the ops that no result depends on, in regions too; parameters stay.

        %0 = add(%x, %x)
        %1 = exponential(%x)    ->    %1 = exponential(%x)
        return %1                     return %1

    No op has a side effect, so an op without a used result can go.
    """
    return rewrite(function, {})
