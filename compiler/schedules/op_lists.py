"""Which ops of a region's list make a value, and which are read at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.function import Op, Value


def makers(value: Value, inner: Mapping[Value, Op]) -> list[Op]:
    """The ops of the region that `value` is made by, in order."""
    found: dict[Op, None] = {}

    def visit(v: Value) -> None:
        op = inner.get(v)
        if op is None:
            return
        for operand in op.operands:
            visit(operand)
        found[op] = None

    visit(value)
    return list(found)


def needed(ops: Sequence[Op], results: Sequence[Value]) -> list[Op]:
    """The ops that `results` depend on, in order."""
    wanted = set(results)
    kept: list[Op] = []
    for op in reversed(ops):
        if wanted.intersection(op.results):
            kept.append(op)
            wanted.update(op.operands)
    return kept[::-1]
