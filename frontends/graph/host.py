"""Ops that run on the host, between the compiled clusters of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tensorkiln.compiler.ir.function import Value
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.regions import regions_of
from tensorkiln.frontends.graph.step import MakeStep
from tensorkiln.frontends.graph.store import Store, uninitialized
from tensorkiln.runtime.errors import UnsupportedError


@dataclass
class HostContext:
    """What a host op may use beside its inputs: the session's variables, what ops keep, and how
    functions are compiled.

    `resources` holds open files, queues and the like by whatever key their ops choose.
    """

    store: Store
    resources: dict[object, object] = field(default_factory=dict)
    make_step: MakeStep | None = None

    def close(self) -> None:
        """Lets go of everything; what has a `close` of its own is closed."""
        for resource in self.resources.values():
            close = getattr(resource, "close", None)
            if close is not None:
                close()
        self.resources.clear()
        self.store = Store()

    def variable(self, variable: Operation) -> Array:
        """A variable's value, not to be changed; FailedPreconditionError if it has none."""
        if not self.store.is_initialized(variable):
            raise uninitialized(variable)
        array: Array = self.store.slot(variable).array.view()
        array.flags.writeable = False
        return array


def host_only(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """The lowering of ops that only the host runs; UnsupportedError where one must be compiled."""
    raise UnsupportedError(
        f"'{op.name}' ({op.location}): {op.type} runs on the host and cannot be compiled into a "
        "function; feed its outputs or leave it out"
    )


def is_driven(op: Operation) -> bool:
    """True for a loop or branch that the host drives, as it holds what only the host can do."""
    return any(
        inner.kind.effects or runs_on_host(inner)
        for region in regions_of(op)
        for batch in region.order
        for inner in batch
    )


def runs_on_host(op: Operation) -> bool:
    """True for host ops and for others with strings; UnsupportedError if those have no way to."""
    if op.kind.lower is host_only or is_driven(op):
        return True
    strings = [t for t in (*op.inputs, *op.outputs) if t.dtype.base_dtype is dtypes.string]
    if not strings or (op.kind.texts and all(t.op.type == "Const" for t in strings)):
        return False
    if op.kind.host is None:
        raise UnsupportedError(f"'{op.name}' ({op.location}): {op.type} of strings is not there")
    return True
