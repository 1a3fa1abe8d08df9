"""Constant folding by the ops' own evaluation."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.evaluate import evaluate_op
from tensorkiln.compiler.ir.function import Array, Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.passes.elementwise import is_elementwise
from tensorkiln.compiler.passes.rewriting import ANY, Replacement, Rewriter, rewrite, static

# A broadcast stays a scalar that is repeated where it is read; random bits stay random bits.
_NEVER = frozenset({"constant", "broadcast_in_dim", "rng_bit_generator"})
_MOST_IOTA_ELEMENTS = 256
_MOST_FLOPS = 1 << 27


def fold_constants(function: Function, bound: int = 1 << 16) -> Function:
    """Evaluates ops all of whose operands are constants (or broadcast scalar constants).

        %0 = constant() {value = i64[2] 3 4}
        %1 = constant() {value = i64[2] 5 6}    ->    %2 = constant() {value = i64[2] 8 10}
        %2 = add(%0, %1)

    An op is folded if its results take at most `bound` elements or no more bytes than its
    operands.  A broadcast is never materialised: an elementwise op on broadcast scalars becomes
    a broadcast scalar, and iota is folded only where it is tiny.  Random bits and ops with
    regions are left alone.  Afterwards no op is left for which these conditions hold.
    """

    def fold(rewriter: Rewriter, op: Op) -> Replacement:
        if op.name in _NEVER or op.regions or not static(*op.operands, *op.results):
            return None
        scalars = [rewriter.splat(v) for v in op.operands]
        if op.operands and is_elementwise(op) and all(s is not None for s in scalars):
            return _fold_scalars(rewriter, op, [s for s in scalars if s is not None])
        arrays = [_array(rewriter, v) for v in op.operands]
        if any(a is None for a in arrays) or not _affordable(rewriter, op, bound):
            return None
        found = _evaluate(op, [a for a in arrays if a is not None])
        return tuple(rewriter.keep(a) for a in found)

    return rewrite(function, {ANY: (fold,)})


def _fold_scalars(rewriter: Rewriter, op: Op, scalars: list[Array]) -> Replacement:
    folded = rewriter.constant(_evaluate(op, scalars)[0])
    return folded if op.result.type.rank == 0 else rewriter.broadcast(folded, op.result)


def _array(rewriter: Rewriter, value: Value) -> Array | None:
    array = rewriter.literal(value)
    if array is not None:
        return array
    scalar = rewriter.splat(value)
    return None if scalar is None else np.broadcast_to(scalar, value.shape)


def _affordable(rewriter: Rewriter, op: Op, bound: int) -> bool:
    if op.name == "iota":
        return op.result.type.elements <= _MOST_IOTA_ELEMENTS
    if REGISTRY[op.name].cost(op).flops > _MOST_FLOPS:
        return False
    stored = sum(v.type.bytes for v in op.operands if rewriter.literal(v) is not None)
    return (
        sum(v.type.elements for v in op.results) <= bound
        or sum(v.type.bytes for v in op.results) <= stored
    )


def _evaluate(op: Op, arrays: list[Array]) -> list[Array]:
    with np.errstate(all="ignore"):
        found = evaluate_op(op, arrays)
    return [np.asarray(a) for a in found]
