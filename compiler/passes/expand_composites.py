"""Composites to primitives."""

from __future__ import annotations

from collections.abc import Collection

from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Composite
from tensorkiln.compiler.passes.rewriting import ANY, Replacement, Rewriter, rewrite


def expand_composites(function: Function, keep: Collection[str] = ()) -> Function:
    """Replaces each composite by its body of primitives, except those named in `keep`.

        %0 = log_softmax(%x) {axis = 1}    ->    %1 = reduce(%x) ...
                                                 %2 = broadcast_in_dim(%1) ...
                                                 %3 = subtract(%x, %2) ...

    Composites inside bodies are expanded too; afterwards only kept ones are left.
    """

    def expand(rewriter: Rewriter, op: Op) -> Replacement:
        lowering = REGISTRY[op.name].lowering
        if not isinstance(lowering, Composite) or op.name in keep:
            return None
        return tuple(lowering.expand(rewriter, op))

    return rewrite(function, {ANY: (expand,)})
