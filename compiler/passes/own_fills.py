"""Fills of their own for what is written over."""

from __future__ import annotations

from dataclasses import replace

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Loops
from tensorkiln.compiler.passes.fresh_names import FreshNames
from tensorkiln.compiler.passes.over_regions import map_regions
from tensorkiln.compiler.passes.rewriting import same_or_new


def own_fills(function: Function) -> Function:
    """Repeats the broadcast constants that loops, updates and scatters start from.

        %0 = broadcast_in_dim(%zero)             %0 = broadcast_in_dim(%zero)
        %1 = scatter(%0, %i, %u)         ->      %1 = scatter(%0, %i, %u)
        %2 = scatter(%0, %j, %v)                 %3 = broadcast_in_dim(%zero)
                                                 %2 = scatter(%3, %j, %v)

    Each is then written in place; a fill that several share would have to be copied, which moves
    twice as much.  Undoes what `common_subexpressions` did, so it comes after.  Exact.
    """
    function = map_regions(own_fills, function)
    producers = function.producers()
    names = FreshNames(function)
    taken = set(function.results)
    ops: list[Op] = []
    for op in function.ops:
        operands = list(op.operands)
        for position in _written_over(op):
            value = operands[position]
            fill = producers.get(value)
            if fill is None or not _is_fill(fill, producers):
                continue
            if value in taken or operands.count(value) > 1:
                own = Value(names.fresh(value.name), value.type)
                ops.append(replace(fill, results=(own,)))
                operands[position] = own
        taken.update(operands)
        ops.append(op if tuple(operands) == op.operands else replace(op, operands=tuple(operands)))
    return same_or_new(function, ops, function.results)


def _written_over(op: Op) -> list[int]:
    if op.name == "while":
        body = op.regions[1]
        pairs = zip(body.parameters, body.results, strict=True)
        return [k for k, (before, after) in enumerate(pairs) if before is not after]
    if op.name == "dynamic_update_slice":
        return [0]
    lowering = REGISTRY[op.name].lowering
    return [lowering.over] if isinstance(lowering, Loops) and lowering.over is not None else []


def _is_fill(op: Op, producers: dict[Value, Op]) -> bool:
    if op.name != "broadcast_in_dim":
        return False
    source = producers.get(op.operands[0])
    return source is not None and source.name == "constant" and source.result.type.elements == 1
