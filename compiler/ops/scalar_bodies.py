"""Folds by regions written as loops of ops on tensors: what gives them their gradients.

The kernels of such folds apply a region to scalars, one element at a time; here it is applied to
all elements that are folded side by side, and a while loop goes from member to member.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.reduce_window import window_dims
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_to,
    compare,
    dynamic_slice,
    dynamic_update_slice,
    full,
    iota,
    pad,
    reshape,
    scalar,
    select,
    slice_,
    transpose,
    zeros_like,
)
from tensorkiln.compiler.ops.shorthand_control import counted_loop
from tensorkiln.compiler.ops.windows import WindowDim


def lifted(builder: Builder, region: Function, arguments: Sequence[Value]) -> list[Value]:
    """A region of elementwise ops on scalars, of tensors of one shape element by element."""
    values = dict(zip(region.parameters, arguments, strict=True))
    shape = arguments[0].shape
    for op in region.ops:
        if op.name == "constant":
            number = builder.constant(op.array("value"))
            values[op.result] = broadcast_to(builder, number, shape)
            continue
        found = builder.append(op, [values[v] for v in op.operands])
        values.update(zip(op.results, found, strict=True))
    return [values[v] for v in region.results]


def row(builder: Builder, x: Value, number: Value) -> Value:
    """x[number]"""
    starts = [number, *(scalar(builder, 0, I64) for _ in x.shape[1:])]
    return reshape(builder, dynamic_slice(builder, x, starts, (1, *x.shape[1:])), x.shape[1:])


def with_row(builder: Builder, x: Value, number: Value, value: Value) -> Value:
    """`x` with `value` as x[number]."""
    starts = [number, *(scalar(builder, 0, I64) for _ in x.shape[1:])]
    return dynamic_update_slice(builder, x, reshape(builder, value, (1, *value.shape)), starts)


def _split(op: Op) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    count = len(op.operands) // 2
    return op.operands[:count], op.operands[count:]


def reduce_body(builder: Builder, op: Op) -> Sequence[Value]:
    """reduce_by, row after row of the members."""
    inputs, starts = _split(op)
    dimensions, shape = sorted(op.ints("dimensions")), op.results[0].shape
    kept = [axis for axis in range(inputs[0].type.rank) if axis not in dimensions]
    count = math.prod(inputs[0].shape[axis] for axis in dimensions)
    states = [broadcast_to(builder, start, shape) for start in starts]
    if not count or not op.results[0].type.elements:
        return states
    rows = [
        reshape(builder, transpose(builder, x, (*dimensions, *kept)), (count, *shape))
        for x in inputs
    ]
    many = len(states)

    def step(inner: Builder, number: Value, values: Sequence[Value]) -> Sequence[Value]:
        members = [row(inner, x, number) for x in values[many:]]
        state = lifted(inner, op.regions[0], [*values[:many], *members])
        return [*state, *values[many:]]

    return counted_loop(builder, count, [*states, *rows], step)[:many]


def scan_body(builder: Builder, op: Op) -> Sequence[Value]:
    """scan_by, row after row along its dimension."""
    inputs, starts = _split(op)
    axis, shape = op.integer("dimension"), op.results[0].shape
    if not op.results[0].type.elements:
        return [zeros_like(builder, x) for x in inputs]
    order = (axis, *(k for k in range(len(shape)) if k != axis))
    back = [order.index(k) for k in range(len(shape))]
    rows = [transpose(builder, x, order) for x in inputs]
    states = [broadcast_to(builder, start, rows[0].shape[1:]) for start in starts]
    many, length = len(states), shape[axis]

    def step(inner: Builder, number: Value, values: Sequence[Value]) -> Sequence[Value]:
        before, members, found = (values[k * many : (k + 1) * many] for k in range(3))
        place = number
        if op.flag("reverse"):
            place = inner.one("subtract", (scalar(inner, length - 1, I64), number))
        elements = [row(inner, x, place) for x in members]
        state = lifted(inner, op.regions[0], [*before, *elements])
        kept = before if op.flag("exclusive") else state
        written = [with_row(inner, x, place, y) for x, y in zip(found, kept, strict=True)]
        return [*state, *members, *written]

    empty = [zeros_like(builder, x) for x in rows]
    found = counted_loop(builder, length, [*states, *rows, *empty], step)[2 * many :]
    return [transpose(builder, x, back) for x in found]


def reduce_window_body(builder: Builder, op: Op) -> Sequence[Value]:
    """reduce_window_by, tap after tap of all windows together."""
    inputs, starts = _split(op)
    windows, box = window_dims(op.attributes, inputs[0].type.rank), op.ints("window")
    shape, many = op.results[0].shape, len(inputs)
    states = [broadcast_to(builder, start, shape) for start in starts]
    if not op.results[0].type.elements:
        return states
    low, high, holes = ([getattr(w, end) for w in windows] for end in ("low", "high", "base"))
    padded = [
        pad(builder, x, low, high, [n - 1 for n in holes], start)
        for x, start in zip(inputs, starts, strict=True)
    ]
    spans = [(n - 1) * w.stride + 1 for n, w in zip(shape, windows, strict=True)]
    strides = [w.stride for w in windows]

    def step(inner: Builder, number: Value, values: Sequence[Value]) -> Sequence[Value]:
        taps = unflattened(inner, number, box)
        firsts = [
            binary(inner, "multiply", tap, scalar(inner, w.dilation, I64))
            for tap, w in zip(taps, windows, strict=True)
        ]
        met = [dynamic_slice(inner, x, firsts, spans) for x in values[many:]]
        members = [slice_(inner, x, [0] * len(box), spans, strides) for x in met]
        return [*lifted(inner, op.regions[0], [*values[:many], *members]), *values[many:]]

    return counted_loop(builder, math.prod(box), [*states, *padded], step)[:many]


def chosen_places(
    builder: Builder,
    choice: Function,
    x: Value,
    windows: Sequence[WindowDim],
    counts: Sequence[int],
) -> Value:
    """For each window the row-major place of the element of `x` that stays when one after the other
    is compared by `choice`, -1 where the window has none; windows are neither dilated nor have holes."""
    low, high = [w.low for w in windows], [w.high for w in windows]
    box = [w.window for w in windows]
    size = x.type.elements
    numbers = reshape(builder, iota(builder, (size,), 0, I64), x.shape)
    padded = pad(builder, builder.one("stop_gradient", (x,)), low, high)
    sources = pad(builder, numbers, low, high, value=-1)
    spans = [(n - 1) * w.stride + 1 for n, w in zip(counts, windows, strict=True)]
    strides = [w.stride for w in windows]
    none = full(builder, counts, -1, I64)

    def step(inner: Builder, number: Value, values: Sequence[Value]) -> Sequence[Value]:
        best, place, elements, sources = values
        taps = unflattened(inner, number, box)
        met, there = (
            slice_(inner, dynamic_slice(inner, v, taps, spans), [0] * len(box), spans, strides)
            for v in (elements, sources)
        )
        (stays,) = lifted(inner, choice, [best, met])
        outside = zeros_like(inner, place)
        exists, some = (compare(inner, "GE", v, outside) for v in (there, place))
        kept = inner.one("and", (stays, some))
        taken = inner.one("and", (exists, inner.one("not", (kept,))))
        return [
            select(inner, taken, met, best), select(inner, taken, there, place), elements, sources
        ]  # fmt: skip

    start = full(builder, counts, False if x.dtype.kind == "bool" else 0, x.dtype)
    return counted_loop(builder, math.prod(box), [start, none, padded, sources], step)[1]


def unflattened(builder: Builder, number: Value, shape: Sequence[int]) -> list[Value]:
    """The index, in an array of `shape`, of the element that a row-major number means."""
    found: list[Value] = []
    rest = number
    for size in reversed(shape):
        divisor = scalar(builder, size, I64)
        found.append(builder.one("remainder", (rest, divisor)))
        rest = builder.one("divide", (rest, divisor))
    return found[::-1]


def join_at(
    builder: Builder,
    region: Function,
    targets: Sequence[Value],
    places: Value,
    inside: Value,
    values: Sequence[Value],
) -> list[Value]:
    """Vectors after region(what a place holds, a value) was put there, for one place after the
    other; places that are not `inside` are skipped."""
    many = len(targets)

    def step(inner: Builder, number: Value, carried: Sequence[Value]) -> Sequence[Value]:
        held, (places, inside), given = (
            carried[:many],
            carried[many : many + 2],
            carried[many + 2 :],
        )
        place = row(inner, places, number)
        before = [row(inner, x, place) for x in held]
        after = lifted(inner, region, [*before, *(row(inner, v, number) for v in given)])
        there = row(inner, inside, number)
        kept = [select(inner, there, a, b) for a, b in zip(after, before, strict=True)]
        written = [with_row(inner, x, place, v) for x, v in zip(held, kept, strict=True)]
        return [*written, places, inside, *given]

    count = places.shape[0]
    return list(counted_loop(builder, count, [*targets, places, inside, *values], step)[:many])
