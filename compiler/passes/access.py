"""How an op reads its operands, found by asking its own lowering."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel.expr import INDEX, Expr, Index, Var
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Element


class _Probe:
    """An element context that records which index of which operand is read."""

    def __init__(self) -> None:
        self.reads: list[tuple[Value, Index]] = []
        self.guarded = False

    def read(self, value: Value, index: Index) -> Expr:
        self.reads.append((value, index))
        return Var(f"read{len(self.reads)}", value.dtype)

    def let(self, expr: Expr) -> Expr:
        return expr

    @contextmanager
    def guard(self, condition: Expr) -> Iterator[None]:
        self.guarded = True
        yield


def reads_of(op: Op) -> list[tuple[Value, Index, Index]]:
    """(operand, index read, result index) for each read of an Element op's lowering."""
    lowering = REGISTRY[op.name].lowering
    if not isinstance(lowering, Element) or op.name == "constant":
        return []
    index = tuple(Var(f"p{axis}", INDEX, size) for axis, size in enumerate(op.result.shape))
    probe = _Probe()
    lowering.element(probe, op, index)
    return [(value, read, index) for value, read in probe.reads]


def is_pointwise(op: Op) -> bool:
    """True if each result element needs just the operands' elements at the same index."""
    lowering = REGISTRY[op.name].lowering
    if not isinstance(lowering, Element) or op.name == "constant" or len(op.results) != 1:
        return False
    reads = reads_of(op)
    shape = op.result.shape
    return bool(reads) and all(_same(v, read, at, shape) for v, read, at in reads)


def _same(value: Value, read: Index, at: Index, shape: tuple[int, ...]) -> bool:
    return read == at and value.shape == shape


def reads_pointwise(op: Op, operand: Value) -> bool:
    """True if an Element op reads `operand` only at its own result's index."""
    reads = [(v, r, i) for v, r, i in reads_of(op) if v is operand]
    return bool(reads) and all(_same(v, r, i, op.result.shape) for v, r, i in reads)
