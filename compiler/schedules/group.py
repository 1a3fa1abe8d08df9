"""A fused group with the buffers it reads and writes, ready to be scheduled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel.expr import Buffer
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.lower.body import Body, Place
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Reduction

STREAM_BYTES = 8 << 20  # results this large would push everything else out of the caches
PARALLEL_WORK = 1 << 15  # scalar operations below which waking threads costs more than it gives


@dataclass(frozen=True)
class Group:
    """A fusion's region, with a place for each parameter and each result."""

    name: str
    region: Function
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    final: bool = False  # nobody in the program reads the results
    present: tuple[int, ...] = ()  # operands of a concatenation that lie in its result already

    @property
    def streams(self) -> bool:
        """True if results bypass the caches: they are large and nobody reads them back."""
        size = sum(p.buffer.elements * p.buffer.dtype.bytes for p in self.outputs)
        return self.final and size >= STREAM_BYTES

    def body(self) -> Body:
        """An empty body that reads the inputs and generates everything else."""
        places = dict(zip(self.region.parameters, self.inputs, strict=True))
        return Body(places, self.region.producers())

    def kernel(self, body: Body, scratch: Sequence[Buffer] = ()) -> Kernel:
        """The kernel of a finished body that uses the buffers `scratch` while it runs."""
        buffers = (*(p.buffer for p in (*self.inputs, *self.outputs)), *scratch)
        outputs = len(self.outputs) + len(scratch)
        return Kernel(self.name, buffers, outputs, body.finish(), len(scratch))

    @property
    def reductions(self) -> list[Op]:
        """The ops of the region that fold boxes of elements."""
        return [op for op in self.region.ops if reduction_of(op) is not None]

    @property
    def work(self) -> int:
        """A rough count of scalar operations, for deciding on threads."""
        moved = sum(p.buffer.elements for p in (*self.inputs, *self.outputs))
        return moved + sum(REGISTRY[op.name].cost(op).flops for op in self.region.ops)

    def lanes(self, vector_bits: int) -> int:
        """Elements of the widest dtype that fill a vector."""
        values = [*self.region.parameters, *(v for op in self.region.ops for v in op.results)]
        widest = max((v.dtype.bits for v in values), default=32)
        return max(1, vector_bits // max(widest, 32))


def reduction_of(op: Op) -> Reduction | None:
    """The op's lowering if it is a Reduction."""
    lowering = REGISTRY[op.name].lowering
    return lowering if isinstance(lowering, Reduction) else None


def dependence_levels(ops: Sequence[Op], among: Sequence[Op]) -> dict[Value, int]:
    """For each value made by `ops`, how many ops of `among` lie on the longest path to it."""
    level: dict[Value, int] = {}
    counted = set(among)
    for op in ops:
        depth = max((level.get(v, 0) for v in op.operands), default=0)
        for value in op.results:
            level[value] = depth + (1 if op in counted else 0)
    return level
