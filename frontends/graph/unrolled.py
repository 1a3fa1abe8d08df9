"""Loops whose shapes change from trip to trip, lowered trip by trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.while_gradient import UnboundedLoopError
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.effects import React
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.lowering import Lowering, UnknownValueError
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.region_lowering import is_variable
from tensorkiln.frontends.graph.regions import Region
from tensorkiln.frontends.graph.tensor import Tensor

MOST_TRIPS = 1024
Result = TypeVar("Result")


class InlineLowering(Lowering):
    """Lowers a region's ops into the function around it."""

    def __init__(self, outer: Lowering) -> None:
        super().__init__({}, outer._shape_of)
        self.builder = outer.builder
        self.outer = outer
        self.next_counters = outer.next_counters

    def run(self, region: Region, values: Sequence[Value]) -> list[Value]:
        """The region's outputs for these parameters."""
        self.values.update(zip(region.parameters, values, strict=True))
        self.lower(region.order)
        return [self.value(tensor) for tensor in region.outputs]

    def value(self, tensor: Tensor) -> Value:
        """The tensor's value."""
        if tensor in self.values or is_variable(tensor):
            return super().value(tensor)
        return self.outer.value(tensor)

    def known(self, value: Value) -> Array | None:
        """The value if it is known before the run."""
        return self.outer.known(value)

    def read(self, variable: Operation, checked: bool = True) -> Value:
        """The variable's current value."""
        return self.outer.read(variable, checked)

    def write(self, variable: Operation, value: Value) -> None:
        """Makes `value` the variable's current value."""
        self.outer.write(variable, value)

    def flag(self, variable: Operation) -> Value:
        """Whether the variable is initialised when the run starts."""
        return self.outer.flag(variable)

    def random_state(self, op: Operation) -> Value:
        """The state that the trip before left behind."""
        if op in self.next_counters:
            return self.next_counters[op]
        return self.outer.random_state(op)

    def after(self, op: Operation, values: Sequence[Value], react: React) -> None:
        """Lets the host look at the values after the function ran."""
        self.outer.after(op, values, react)

    def check(self, op: Operation, holds: Value, values: Sequence[Value], react: React) -> None:
        """Lets the host raise after the function ran, unless `holds`."""
        self.outer.check(op, holds, values, react)


def unrolled(
    lowering: Lowering, op: Operation, test: Region, body: Region, start: Sequence[Value]
) -> list[Value]:
    """The loop's results, trip by trip; InvalidArgumentError if only a run knows how many there
    are, or if they are more than MOST_TRIPS."""
    values = list(start)
    for _ in range(MOST_TRIPS + 1):
        (predicate,) = InlineLowering(lowering).run(test, values)
        more = lowering.known(predicate)
        if more is None:
            break
        if not more.reshape(()):
            return values
        values = InlineLowering(lowering).run(body, values)
    else:
        raise InvalidArgumentError(
            op.name, op,
            f"'{op.name}' ({op.location}): shapes change from trip to trip, and it makes more than "
            f"{MOST_TRIPS} trips",
        )  # fmt: skip
    changed = [
        f"'{tensor.name}' is {value.type}"
        for tensor, value in zip(body.parameters, values, strict=True)
    ]
    raise UnknownValueError(
        op,
        f"'{op.name}' ({op.location}): shapes change from trip to trip, which can be compiled only "
        f"if the number of trips is known before the run ({', '.join(changed)})",
        lowering._causes(predicate),
    )


def with_bounds(lowering: Lowering, op: Operation, run: Callable[[], Result]) -> Result:
    """What `run` gives; if the gradient of a loop lacks a bound that follows from small integers
    that are fed, UnknownValueError asks for their values."""
    try:
        return run()
    except UnboundedLoopError as error:
        found: dict[Tensor, None] = {}
        for value in error.operands:
            if value.dtype.is_integer and value.type.rank == 0:
                found.update(dict.fromkeys(lowering._causes(value)))
        if not found:
            raise
        raise UnknownValueError(op, str(error), list(found)) from error
