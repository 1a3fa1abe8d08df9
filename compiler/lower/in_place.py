"""Tells whether a kernel may write a result over an operand."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel.expr import Buffer, Expr, Index, Load, children
from tensorkiln.compiler.kernel.stmt import Block, For, If, Kernel, Let, Store, walk


def writes_in_place(kernel: Kernel, op: Op, operand: Value, result: Value) -> bool:
    """True if every store to `result` follows, in its own block, all reads of that element.

    Then each element of `operand` is read for the last time just before it is overwritten: the
    reads of `operand` are exactly at the indices stored to, in the same block and before.
    """
    source = kernel.parameters[op.operands.index(operand)]
    target = kernel.parameters[len(op.operands) + op.results.index(result)]
    if source.shape != target.shape or source.dtype != target.dtype:
        return False
    loads = sum(len(_loads(e, source)) for s in walk(kernel.body) for e in _values(s))
    matched = _matched(kernel.body, source, target)
    return matched is not None and matched == loads


def _matched(block: Block, source: Buffer, target: Buffer) -> int | None:
    """How many loads of `source` stand before a store to the same element in their block."""
    total = 0
    pending: list[Index] = []
    stored = False
    for stmt in block:
        reads = [index for e in _values(stmt) for index in _loads(e, source)]
        if reads and stored:
            return None
        pending += reads
        match stmt:
            case Store(buffer, index) if buffer.name == target.name:
                if not pending or any(p != index for p in pending):
                    return None
                total, pending, stored = total + len(pending), [], True
            case For() | If():
                inner = _matched(stmt.body, source, target)
                if inner is None:
                    return None
                total += inner
    return total if not pending else None


def _values(stmt: object) -> list[Expr]:
    match stmt:
        case Let(_, value):
            return [value]
        case Store(_, index, value):
            return [*index, value]
        case For(_, start, stop):
            return [start, stop]
        case If(condition):
            return [condition]
        case _:
            return []


def _loads(expr: Expr, buffer: Buffer) -> list[Index]:
    found = [index for child in children(expr) for index in _loads(child, buffer)]
    if isinstance(expr, Load) and expr.buffer.name == buffer.name:
        found.append(expr.index)
    return found
