"""Short forms for loops and branches: regions written as Python functions over values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.shorthand import scalar, select

Make = Callable[[Builder, Sequence[Value]], Sequence[Value]]


def region(builder: Builder, name: str, types: Sequence[TensorType], make: Make) -> Function:
    """The function of parameters of `types` whose results `make(builder, parameters)` appends."""
    inner = Builder(builder.registry, name)
    inner.location = builder.location
    values = [inner.parameter(f"x{k}", kind) for k, kind in enumerate(types)]
    return inner.finish(make(inner, values))


def while_loop(
    builder: Builder,
    cond: Callable[[Builder, Sequence[Value]], Value],
    body: Make,
    values: Sequence[Value],
    bound: int = -1,
) -> tuple[Value, ...]:
    """`values` after `body` as long as `cond` holds; at most `bound` trips, if that is not -1."""
    types = [v.type for v in values]
    regions = (
        region(builder, "cond", types, lambda inner, carried: [cond(inner, carried)]),
        region(builder, "body", types, body),
    )
    return builder.op("while", values, {"bound": bound}, regions)


def case(
    builder: Builder, index: Value, branches: Sequence[Make], values: Sequence[Value]
) -> tuple[Value, ...]:
    """The results of branch number `index` (i32 scalar), the last one where there is none such."""
    types = [v.type for v in values]
    regions = tuple(region(builder, f"branch{k}", types, make) for k, make in enumerate(branches))
    return builder.op("case", (index, *values), {}, regions)


def if_else(
    builder: Builder, predicate: Value, then: Make, otherwise: Make, values: Sequence[Value]
) -> tuple[Value, ...]:
    """The results of `then` where the bool scalar `predicate` holds, else those of `otherwise`."""
    return case(builder, branch_index(builder, predicate), (then, otherwise), values)


def branch_index(builder: Builder, predicate: Value) -> Value:
    """0 where a bool scalar holds, else 1: the index of a case of two branches."""
    return select(builder, predicate, scalar(builder, 0, I32), scalar(builder, 1, I32))
