"""The gradient of `while`: a loop that runs the body's gradient as often, last trip first.

    n, y, s = while(0, x, zeros) {cond} {body; save what going back needs into stacks at row n}
    dx      = while(n, dy, s)    {n > 0} {n = n - 1; read row n; the body's gradient}

The first loop takes the place of the one that was differentiated, so nothing runs forward twice.
Its stacks have a row for every trip there can be, so a bound must be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import UNKNOWN, Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.activity import active_values
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.record import Cotangents, Differentiate
from tensorkiln.compiler.ops.residuals import Residuals
from tensorkiln.compiler.ops.shorthand import (
    compare,
    dynamic_slice,
    dynamic_update_slice,
    reshape,
    scalar,
    zeros_like,
)
from tensorkiln.compiler.ops.trip_count import constant_integer, trip_bound
from tensorkiln.runtime.errors import UnsupportedError

_COUNT = TensorType((), I32)


class UnboundedLoopError(UnsupportedError):
    """The gradient of a loop was asked for, and nothing bounds its trips.

    `operands` are what the loop starts with.
    """

    def __init__(self, message: str, operands: Sequence[Value]) -> None:
        super().__init__(message)
        self.operands = tuple(operands)


def while_gradient(
    builder: Builder,
    op: Op,
    cotangents: Cotangents,
    wanted: Sequence[bool],
    differentiate: Differentiate,
) -> Cotangents:
    """See the module's docstring; UnboundedLoopError where the trips have no bound but need one."""
    chosen = _chosen(builder, op, cotangents, wanted)
    if not chosen:
        return [None] * len(op.operands)
    split = _differentiated(builder, op, chosen, differentiate)
    residuals = Residuals(op.regions[1], split.parameters, split.forward, split.back, split.found)
    bound = _bound(builder, op, bool(residuals.saved))
    count, stacks = _saving_loop(builder, op, split, residuals.saved, bound)
    starts = [
        zeros_like(builder, op.operands[k]) if (g := cotangents[k]) is None else g for k in chosen
    ]
    invariants = [op.operands[k] for k in residuals.invariants]
    regions = _back_regions(builder, split, residuals, [v.type for v in stacks])
    found = builder.op("while", (count, *starts, *invariants, *stacks), {"bound": bound}, regions)
    result: list[Value | None] = [None] * len(op.operands)
    for position, value in zip(chosen, found[1:], strict=False):
        result[position] = value
    return result


def _chosen(builder: Builder, op: Op, cotangents: Cotangents, wanted: Sequence[bool]) -> list[int]:
    """The carried values through which a wanted operand reaches a result with a cotangent."""
    body = op.regions[1]
    reach: list[set[int]] = []
    for parameter in body.parameters:
        reached = active_values(builder.registry, body.ops, [parameter])
        reach.append({k for k, v in enumerate(body.results) if v in reached})
    active = {k for k, wants in enumerate(wanted) if wants}
    while more := {i for k in active for i in reach[k]} - active:
        active |= more
    needed = {k for k, g in enumerate(cotangents) if g is not None}
    while more := {k for k, ends in enumerate(reach) if ends & needed} - needed:
        needed |= more
    return sorted(active & needed)


@dataclass(frozen=True)
class _Split:
    """A body and its gradient over the same values.

    `outputs` are the body's results, `seeds` the cotangents that the gradient starts from, and
    `found` what it ends with, one for each chosen carried value.
    """

    inner: Builder
    parameters: tuple[Value, ...]
    outputs: tuple[Value, ...]
    forward: tuple[Op, ...]
    back: tuple[Op, ...]
    seeds: tuple[Value, ...]
    found: tuple[Value, ...]


def _differentiated(
    builder: Builder, op: Op, chosen: Sequence[int], differentiate: Differentiate
) -> _Split:
    body = op.regions[1]
    inner = Builder(builder.registry, body.name)
    parameters = [inner.parameter(v.name, v.type) for v in body.parameters]
    outputs = inner.inline(body, parameters)
    # Loops inside give way to loops that save more, under the same results.
    forward = {v for made in inner.ops for v in made.results}
    seeds = [inner.parameter(f"d{k}", outputs[k].type) for k in chosen]
    inputs = [parameters[k] for k in chosen]
    gradients = differentiate(inner, [outputs[k] for k in chosen], inputs, seeds)
    found = tuple(
        zeros_like(inner, v) if g is None else g for v, g in zip(inputs, gradients, strict=True)
    )
    ends = [k + 1 for k, made in enumerate(inner.ops) if forward.intersection(made.results)]
    border = max(ends, default=0)
    return _Split(
        inner,
        tuple(parameters),
        tuple(outputs),
        tuple(inner.ops[:border]),
        tuple(_live(inner.ops[border:], found)),
        tuple(seeds),
        found,
    )


def _live(ops: Sequence[Op], results: Iterable[Value]) -> list[Op]:
    needed, kept = set(results), list[Op]()
    for op in reversed(ops):
        if needed.intersection(op.results):
            needed.update(op.operands)
            kept.append(op)
    return kept[::-1]


def _bound(builder: Builder, op: Op, needed: bool) -> int:
    producers = {v: made for made in builder.ops for v in made.results}
    bound = trip_bound(op, lambda value: constant_integer(value, producers.get))
    if bound is None and needed:
        place = f" {op.location}" if op.location != UNKNOWN else ""
        raise UnboundedLoopError(
            f"the gradient of the loop{place} needs room for every trip there can be, and nothing "
            "bounds them: give maximum_iterations",
            op.operands,
        )
    return -1 if bound is None else bound


def _saving_loop(
    builder: Builder, op: Op, split: _Split, saved: Sequence[Value], bound: int
) -> tuple[Value, list[Value]]:
    """Puts a loop that also counts and saves where `op` is; gives the count and the stacks."""
    cond, _ = op.regions
    inner = split.inner
    kinds = [TensorType((max(bound, 1), *v.type.shape), v.dtype) for v in saved]
    start = len(inner.ops)
    count = Value(inner.fresh("count"), _COUNT)
    stacks = [Value(inner.fresh(f"stack{k}"), kind) for k, kind in enumerate(kinds)]
    pushed = [
        dynamic_update_slice(
            inner, stack, reshape(inner, value, (1, *value.type.shape)), _row(inner, count, stack)
        )
        for stack, value in zip(stacks, saved, strict=True)
    ]
    one = _own_scalar(inner, 1)
    advanced = inner.one("add", (count, one))
    body = Function(
        op.regions[1].name,
        (*split.parameters, count, *stacks),
        (*split.forward, *inner.ops[start:]),
        (*split.outputs, advanced, *pushed),
        symbols=op.regions[1].symbols,
    )
    extra = (Value("count", _COUNT), *(Value(f"stack{k}", kind) for k, kind in enumerate(kinds)))
    names = {v.name for v in cond.parameters} | {v.name for o in cond.ops for v in o.results}
    extra = tuple(Value(_unused(v.name, names), v.type) for v in extra)
    cond = Function(
        cond.name, (*cond.parameters, *extra), cond.ops, cond.results, symbols=cond.symbols
    )
    first = len(builder.ops)
    with builder.at(op.location):
        begin = _own_scalar(builder, 0)
        zeros = [_own_zeros(builder, kind) for kind in kinds]
    added = builder.ops[first:]
    del builder.ops[first:]
    total = Value(builder.fresh(), _COUNT)
    filled = [Value(builder.fresh(), kind) for kind in kinds]
    saving = Op(
        "while",
        (*op.operands, begin, *zeros),
        (*op.results, total, *filled),
        {"bound": bound},
        (cond, body),
        op.location,
    )
    builder.replace(op, (*added, saving))
    return total, filled


def _unused(name: str, names: set[str]) -> str:
    while name in names:
        name += "_"
    names.add(name)
    return name


def _own_scalar(builder: Builder, number: int) -> Value:
    """A constant that is not shared: it is put before ops that are there already."""
    return builder.one("constant", value=np.array(number, np.int32))


def _own_zeros(builder: Builder, kind: TensorType) -> Value:
    zero = builder.one("constant", value=np.zeros((), kind.dtype.numpy))
    return builder.one("broadcast_in_dim", (zero,), shape=kind.shape, dimensions=())


def _row(builder: Builder, row: Value, stack: Value) -> list[Value]:
    zero = _own_scalar(builder, 0)
    return [row, *[zero] * (stack.type.rank - 1)]


def _back_regions(
    builder: Builder, split: _Split, residuals: Residuals, kinds: Sequence[TensorType]
) -> tuple[Function, Function]:
    """The condition and the body of the loop that goes back."""
    carried = [
        _COUNT,
        *(v.type for v in split.seeds),
        *(split.parameters[k].type for k in residuals.invariants),
        *kinds,
    ]
    test = Builder(builder.registry, "more")
    values = [test.parameter(f"c{k}", kind) for k, kind in enumerate(carried)]
    cond = test.finish([compare(test, "GT", values[0], scalar(test, 0, I32))])

    back = Builder(builder.registry, f"{split.inner.name}_gradient")
    values = [back.parameter(f"c{k}", kind) for k, kind in enumerate(carried)]
    stacks = values[len(values) - len(kinds) :]
    row = back.one("subtract", (values[0], scalar(back, 1, I32)))
    known = dict(zip(split.seeds, values[1:], strict=False))
    for position, value in zip(residuals.invariants, values[1 + len(split.seeds) :], strict=False):
        known[split.parameters[position]] = value
    for value, stack in zip(residuals.saved, stacks, strict=True):
        zero = scalar(back, 0, I32)
        starts = [row, *[zero] * value.type.rank]
        sizes = (1, *value.type.shape)
        known[value] = reshape(back, dynamic_slice(back, stack, starts, sizes), value.type.shape)
    for made in (*residuals.rebuilt, *split.back):
        copies = back.append(made, [known[v] for v in made.operands])
        known.update(zip(made.results, copies, strict=True))
    results = [known[v] for v in split.found]
    return cond, back.finish([row, *results, *values[1 + len(split.seeds) :]])
