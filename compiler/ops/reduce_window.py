"""The op reduce_window: a reducer over windows that slide along every dim (pooling).

Rule and name are StableHLO's; the initial value is the reducer's identity, so padding and holes
count for nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Expr, Index
from tensorkiln.compiler.ops.arg_reduce_window import arg_reduce_window, scatter_windows
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import all_of, expect, ints, op_pairs, pairs, require, widened
from tensorkiln.compiler.ops.record import (
    Cost,
    ElementContext,
    OpRecord,
    Reduction,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.reduce import combine, exclusive_products
from tensorkiln.compiler.ops.reducers import (
    REDUCERS,
    check_reducer,
    identity,
    initial_state,
    state_dtype,
)
from tensorkiln.compiler.ops.shorthand import (
    pad,
    slice_,
    slice_axis,
    squeeze,
    stack,
    unpad,
    zeros_like,
)
from tensorkiln.compiler.ops.windows import WindowDim, meeting_taps, taps_of

Cotangents = Sequence[Value | None]


def window_dims(attributes: Attributes, rank: int) -> tuple[WindowDim, ...]:
    """C1: window, strides, dilations and padding have an entry for each dim.  C2: sizes, strides
    and dilations are positive."""
    padding = pairs(attributes, "padding")
    names = ("window", "strides", "base_dilations", "window_dilations")
    columns = [ints(attributes, name) for name in names]
    fits = {len(padding), *map(len, columns)} == {rank}
    require(fits, f"C1: {', '.join(names)} and padding must have {rank} entries")
    found = tuple(
        WindowDim(window, stride, low, high, base, dilation)
        for window, stride, base, dilation, (low, high) in zip(*columns, padding, strict=True)
    )
    for axis, window in enumerate(found):
        window.check(f"dim {axis}")
    return found


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1, C2: see window_dims.  C3: the reducer takes the dtype."""
    (x,) = expect(types, 1)
    windows = window_dims(attributes, x.rank)
    check_reducer(attributes["reducer"], x.dtype, "C3")
    return (x.with_shape(tuple(w.count(d) for w, d in zip(windows, x.shape, strict=True))),)


def _windows(op: Op) -> tuple[WindowDim, ...]:
    return window_dims(op.attributes, op.operands[0].type.rank)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (x,), name, kind = arrays, op.string("reducer"), op.result.dtype
    state, function = state_dtype(name, kind).numpy, REDUCERS[name].function
    windows, counts = _windows(op), op.result.shape
    result = np.full(counts, identity(name, kind), state)
    for tap in meeting_taps(windows, x.shape, counts):
        outer, inner = taps_of(windows, tap, x.shape, counts)
        result[outer] = function(result[outer], x[inner].astype(state))
    return [result.astype(kind.numpy)]


def _extents(op: Op) -> tuple[int, ...]:
    return op.ints("window")


def _initial(op: Op) -> tuple[Expr, ...]:
    return (initial_state(op.string("reducer"), op.result.dtype),)


def _valid(op: Op, index: Index, inner: Index) -> Expr | None:
    shape = op.operands[0].shape
    return all_of(
        condition
        for window, size, o, w in zip(_windows(op), shape, index, inner, strict=True)
        for condition in window.conditions(window.position(o, w), size)
    )


def _element(context: ElementContext, op: Op, index: Index, inner: Index) -> tuple[Expr, ...]:
    (x,) = op.operands
    source = tuple(
        window.source(window.position(o, w))
        for window, o, w in zip(_windows(op), index, inner, strict=True)
    )
    return (widened(context.read(x, source), state_dtype(op.string("reducer"), x.dtype)),)


def _sum_gradient(builder: Builder, op: Op, g: Value) -> Value:
    """The sum over the windows that cover an element: again a windowed sum, over the cotangent
    dilated by the strides and padded so that every element has its window."""
    windows, sizes, counts = _windows(op), op.operands[0].shape, op.result.shape
    padding = []
    for window, size, count in zip(windows, sizes, counts, strict=True):
        low = window.span - 1 - window.low
        padded = (size - 1) * window.base + window.span
        spread = (count - 1) * window.stride + 1 if count else 0
        padding.append((low, padded - low - spread))
    return builder.one(
        "reduce_window",
        (g,),
        window=op.ints("window"),
        strides=op.ints("base_dilations"),
        base_dilations=op.ints("strides"),
        window_dilations=op.ints("window_dilations"),
        padding=tuple(padding),
        reducer="add",
    )


def _extreme_gradient(builder: Builder, op: Op, g: Value) -> Value:
    """The cotangent goes to the first extreme of each window, in row-major order."""
    (x,), maximum = op.operands, op.string("reducer") == "maximum"
    zero, holes = (0,) * x.type.rank, tuple(n - 1 for n in op.ints("base_dilations"))
    filler = identity(op.string("reducer"), x.dtype)
    dilated = pad(builder, x, zero, zero, holes, filler)
    numbers = (op.ints("window"), op.ints("strides"), op.ints("window_dilations"))
    padding = op_pairs(op, "padding")
    kind = "max" if maximum else "min"
    _, indices = arg_reduce_window(builder, dilated, kind, *numbers, padding)
    whole = scatter_windows(builder, indices, g, dilated.shape, *numbers, padding)
    return unpad(builder, whole, zero, zero, holes)


def _product_gradient(builder: Builder, op: Op, g: Value) -> Value:
    """Each tap as a strided slice; the product of the other taps is its factor."""
    (x,), windows, counts = op.operands, _windows(op), op.result.shape
    low, high = ([getattr(w, end) for w in windows] for end in ("low", "high"))
    holes = [w.base - 1 for w in windows]
    strides = op.ints("strides")
    padded = pad(builder, x, low, high, holes, 1)
    begins = [
        tuple(t * w.dilation for t, w in zip(tap, windows, strict=True))
        for tap in itertools.product(*(range(w.window) for w in windows))
    ]
    reach = [(n - 1) * k + 1 for n, k in zip(counts, strides, strict=True)]
    ends = [tuple(b + r for b, r in zip(begin, reach, strict=True)) for begin in begins]
    taps = [
        slice_(builder, padded, begin, end, strides)
        for begin, end in zip(begins, ends, strict=True)
    ]
    axis = x.type.rank
    others = exclusive_products(builder, stack(builder, taps, axis))
    total: Value | None = None
    for k, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        factor = squeeze(builder, slice_axis(builder, others, axis, k, k + 1), (axis,))
        behind = [n - e for n, e in zip(padded.shape, end, strict=True)]
        share = builder.one("multiply", (factor, g))
        placed = pad(builder, share, begin, behind, [k - 1 for k in strides])
        total = placed if total is None else builder.one("add", (total, placed))
    assert total is not None
    return unpad(builder, total, low, high, holes)


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x,), (g,) = op.operands, cotangents
    if g is None:
        return [None]
    if not x.type.elements or not g.type.elements:
        return [zeros_like(builder, x)]
    match op.string("reducer"):
        case "add":
            return [_sum_gradient(builder, op, g)]
        case "maximum" | "minimum":
            return [_extreme_gradient(builder, op, g)]
        case "multiply":
            return [_product_gradient(builder, op, g)]
        case _:
            return [None]


def _cost(op: Op) -> Cost:
    """One operation a tap of each window."""
    return Cost(op.result.type.elements * math.prod(op.ints("window")), bytes_moved(op))


RECORDS = (
    OpRecord(
        "reduce_window",
        {
            "window": "ints",
            "strides": "ints",
            "base_dilations": "ints",
            "window_dilations": "ints",
            "padding": "pairs",
            "reducer": "str",
        },
        _types,
        _evaluate,
        _gradient,
        Reduction(_extents, _initial, _element, combine, _valid),
        _cost,
    ),
)
