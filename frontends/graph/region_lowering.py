"""Lowers the ops of a region to a function of its own.

What the region reads from outside becomes parameters as it is met: tensors, variables, and the
states of random ops.  Values that are known before the run become constants of the region.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import BOOL, U64
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.frontends.graph.effects import React
from tensorkiln.frontends.graph.host import is_driven, runs_on_host
from tensorkiln.frontends.graph.lowering import STATE_SHAPE, Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.regions import Region
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import UnsupportedError

Key: TypeAlias = "tuple[str, Tensor | Operation]"


class RegionLowering(Lowering):
    """A region's function under construction.

    `outside` maps what the region takes from `outer` to its parameters.
    """

    watched = False

    def __init__(
        self, outer: Lowering, name: str, counted: bool = False, branch: bool = False
    ) -> None:
        super().__init__({}, _no_shape, name=name)
        self.counted = counted or outer.counted
        self.builder.location = outer.builder.location
        self.outer = outer
        self.outside: dict[Key, Value] = {}
        self.branch = branch
        self.lenient = outer.lenient if branch else frozenset()
        self.needs: dict[Operation, Value] = {}

    def run(self, region: Region, types: Sequence[TensorType]) -> list[Value]:
        """Lowers the region for parameters of these types; its outputs' values."""
        for tensor, kind in zip(region.parameters, types, strict=True):
            self.values[tensor] = self.builder.parameter(tensor.op.name, kind)
        for batch in region.order:
            for op in batch:
                if runs_on_host(op) and not is_driven(op):
                    raise UnsupportedError(
                        f"'{op.name}' ({op.location}): {op.type} runs on the host, so there is no "
                        "gradient through the loop or branch that it is in, nor can that be "
                        "exported: take it out, or stop the gradient before"
                    )
        self.lower(region.order)
        return [self.value(tensor) for tensor in region.outputs]

    def take(self, key: Key) -> Value:
        """The parameter through which something from outside comes in."""
        if key not in self.outside:
            kind = outside_type(self.outer, key)
            self.outside[key] = self.builder.parameter(key[1].name, kind)
        return self.outside[key]

    def next_value(self, key: Key) -> Value:
        """What the region leaves behind for something from outside: itself, if unchanged."""
        kind, item = key
        if kind == "variable" and item in self.written:
            return self.written[item]
        if kind == "random" and item in self.next_counters:
            return self.next_counters[item]
        if kind == "ready" and isinstance(item, Operation):
            return self.ready(item)
        return self.take(key)

    def changed(self) -> list[Key]:
        """The keys of the variables and random states that the region changes."""
        written: list[Key] = [("variable", variable) for variable in self.written]
        ready: list[Key] = [("ready", v) for v in self.written if v in self.lenient]
        return [*written, *ready, *(("random", op) for op in self.next_counters)]

    def function(self, first: int, keys: Sequence[Key], results: Sequence[Value]) -> Function:
        """The function of the first parameters, then of those of `keys`."""
        own = self.builder.parameters[:first]
        extra = [self.take(key) for key in keys]
        self.builder.parameters = [*own, *extra]
        return self.builder.finish(results)

    # -- what comes from outside -----------------------------------------------------------

    def value(self, tensor: Tensor) -> Value:
        """The tensor's value in the region."""
        if tensor in self.values or is_variable(tensor):
            return super().value(tensor)
        outer = self.outer.value(tensor)
        self.values[tensor] = self._constant(outer) or self.take(("tensor", tensor))
        if tensor.dtype.is_integer and self.known(self.values[tensor]) is None:
            # A shape may depend on it: then it is the feed behind it that must be fixed.
            causes = self.outer._causes(outer)
            if len(causes) == 1:
                self._fed[self.values[tensor]] = causes[0]
        return self.values[tensor]

    def _constant(self, outer: Value) -> Value | None:
        # Floats stay what they are outside, since a gradient may flow to them.
        array = None if outer.dtype.is_float else self.outer.known(outer)
        return None if array is None else self.builder.constant(array)

    def read(self, variable: Operation, checked: bool = True) -> Value:
        """The variable's current value in the region."""
        if variable in self.written:
            return self.written[variable]
        if checked:
            self.read_in_branch(variable)
        return self.take(("variable", variable))

    def read_in_branch(self, variable: Operation) -> None:
        """Asks for a value of the variable where this region runs."""
        if variable in self.written:
            return
        if not self.branch:
            self.outer.read(variable)
        elif variable in self.lenient:
            self.require(variable, variable, self.ready(variable))
        else:
            self.outer.read_in_branch(variable)

    def ready(self, variable: Operation) -> Value:
        """Whether the variable has a value at this place."""
        if variable in self.readies or variable in self.written:
            return super().ready(variable)
        return self.take(("ready", variable))

    def require(self, op: Operation, variable: Operation, holds: Value) -> None:
        """Leaves it to what is around the region to fail the run unless `holds`."""
        if variable in self.needs:
            holds = self.builder.one("and", (self.needs[variable], holds))
        self.needs[variable] = holds

    def flag(self, variable: Operation) -> Value:
        """Whether the variable is initialised when the run starts."""
        return self.take(("flag", variable))

    def random_state(self, op: Operation) -> Value:
        """The state that a random op draws from in this trip."""
        self.counters[op] = self.take(("random", op))
        return self.counters[op]

    def after(self, op: Operation, values: Sequence[Value], react: React) -> None:
        """Nothing: the host drives loops that it must look into, and compiles them for gradients
        only."""

    def check(self, op: Operation, holds: Value, values: Sequence[Value], react: React) -> None:
        """Nothing, see `after`."""


def is_variable(tensor: Tensor) -> bool:
    """True if the tensor stands for a variable's current value."""
    if tensor.dtype.is_ref:
        return True
    return tensor.op.type == "Identity" and tensor.op.flag("_read")


def _no_shape(variable: Operation) -> tuple[int, ...]:
    raise UnsupportedError(f"the shape of {variable.name} is known outside of the region")


_TYPES: Mapping[str, Callable[[Lowering, Key], TensorType]] = {
    "tensor": lambda outer, key: outside_value(outer, key).type,
    "variable": lambda outer, key: outside_value(outer, key).type,
    "flag": lambda outer, key: TensorType((), BOOL),
    "ready": lambda outer, key: TensorType((), BOOL),
    "random": lambda outer, key: TensorType(STATE_SHAPE, U64),
}


def outside_type(outer: Lowering, key: Key) -> TensorType:
    """The type of what a key stands for."""
    return _TYPES[key[0]](outer, key)


def outside_value(outer: Lowering, key: Key) -> Value:
    """What a key stands for around the region."""
    kind, item = key
    if isinstance(item, Tensor):
        return outer.value(item)
    match kind:
        case "variable":
            return outer.read(item, checked=False)
        case "flag":
            return outer.flag(item)
        case "ready":
            return outer.ready(item)
        case _:
            return outer.random_state(item)


def leave(outer: Lowering, key: Key, value: Value) -> None:
    """Makes `value` the new value of a variable or random state around the region."""
    kind, item = key
    assert isinstance(item, Operation)
    if kind == "variable":
        outer.write(item, value)
    elif kind == "ready":
        outer.readies[item] = value
    else:
        outer.next_counters[item] = value
