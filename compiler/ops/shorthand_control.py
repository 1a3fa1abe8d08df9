"""Short forms for loops and branches: regions written as Python functions over values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorkiln.compiler.ir.dtypes import I32, I64
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.shorthand import compare, scalar, select

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


def counted_loop(
    builder: Builder,
    count: int,
    values: Sequence[Value],
    body: Callable[[Builder, Value, Sequence[Value]], Sequence[Value]],
) -> tuple[Value, ...]:
    """The values after `count` times body(builder, trip, values); the trip is an i64 scalar."""

    def more(inner: Builder, carried: Sequence[Value]) -> Value:
        return compare(inner, "LT", carried[0], scalar(inner, count, I64))

    def trip(inner: Builder, carried: Sequence[Value]) -> Sequence[Value]:
        following = inner.one("add", (carried[0], scalar(inner, 1, I64)))
        return [following, *body(inner, carried[0], carried[1:])]

    start = scalar(builder, 0, I64)
    return while_loop(builder, more, trip, (start, *values), bound=count)[1:]


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
