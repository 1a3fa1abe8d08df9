"""Which values a gradient can reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.record import NoGradient
from tensorkiln.compiler.ops.registry import Registry


def active_values(registry: Registry, ops: Sequence[Op], inputs: Iterable[Value]) -> set[Value]:
    """The float values that depend on an input through ops that have gradients."""
    active = {v for v in inputs if v.dtype.is_inexact}
    for op in ops:
        passes = not isinstance(registry[op.name].gradient, NoGradient)
        if passes and any(v in active for v in op.operands):
            active.update(v for v in op.results if v.dtype.is_inexact)
    return active
