"""Ops that bring their own loops (scatter, random bits): the record's build, made a kernel."""

from __future__ import annotations

from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Loops
from tensorkiln.compiler.schedules.group import Group


def schedule_custom(group: Group) -> Kernel:
    """The kernel of a group that is one op with a Loops lowering."""
    (op,) = [op for op in group.region.ops if op.name != "constant"]
    lowering = REGISTRY[op.name].lowering
    assert isinstance(lowering, Loops)
    body = group.body()
    # A result nobody reads still needs memory to be written to; region results are all of them.
    body.places.update(zip(group.region.results, group.outputs, strict=True))
    body.current_op = op
    lowering.build(body, op)
    return group.kernel(body)
