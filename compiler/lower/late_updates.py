"""The order of ops, so that what is written over is read before."""

from __future__ import annotations

from dataclasses import replace

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.lower.sharing import overlaid, renamed


def late_updates(function: Function) -> Function:
    """Moves ops that write over an operand behind the ops that read it, where data flow lets them.

        %1 = update(%0, ...)         %2 = read(%0)
        %2 = read(%0)           ->   %1 = update(%0, ...)

    Otherwise the update would need a copy of the whole operand.  What makes the new value of
    donated state moves behind the readers of the old one in the same way.
    """
    ops = list(function.ops)
    producers = function.producers()
    written = {op: [op.operands[operand] for operand, _ in overlaid(op)] for op in ops}
    for position, donor in function.aliases.items():
        op = producers.get(function.results[position])
        if op is not None and op.name == "fusion":
            written[op].append(function.parameters[donor])
    for op in function.ops:
        if written[op]:
            _move(ops, op, set(written[op]))
    return function if ops == list(function.ops) else replace(function, ops=tuple(ops))


def _move(ops: list[Op], update: Op, names: set[Value]) -> None:
    start = ops.index(update)
    names |= {v for op in ops[:start] for v in _sources(op, names)}
    made: set[Value] = set(update.results)
    depending, others = [update], list[Op]()
    end = 0
    for op in ops[start + 1 :]:
        if made.intersection(op.operands):
            made.update(op.results)
            depending.append(op)
            continue
        others.append(op)
        for operand, result in renamed(op):
            if op.operands[operand] in names:
                names.add(op.results[result])
        if op.name != "reshape" and names.intersection(op.operands):
            end = len(others)
    if not end:
        return
    # Only what stands before the last reader moves: the rest keeps its place.
    last = ops.index(others[end - 1])
    between = ops[start : last + 1]
    stay = set(others[:end])
    ops[start : last + 1] = [op for op in between if op in stay] + [
        op for op in between if op not in stay
    ]


def _sources(op: Op, names: set[Value]) -> list[Value]:
    """The operands that values in `names` are other names of."""
    return [op.operands[o] for o, r in renamed(op) if op.results[r] in names]
