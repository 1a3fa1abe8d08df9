"""Extremes of windows and their positions: arg_reduce_window scatter_windows select_and_scatter.

`arg_reduce_window` is the form of StableHLO's variadic reduce_window that max pooling with
indices needs; `scatter_windows` undoes it; StableHLO's select_and_scatter is the two together.
An index is the row-major number of an element of the operand, or the highest value of its dtype
where a window lies in the padding alone.  NaN counts as the extreme; the first of equals wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32, I64, DType
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Index, Select
from tensorkiln.compiler.kernel.index import add, const, flatten, floordiv, sub
from tensorkiln.compiler.ops.arg_reduce import KINDS, combine_extreme, initial_extreme
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import (
    accumulator,
    all_of,
    between,
    expect,
    ints,
    pairs,
    require,
    widened,
)
from tensorkiln.compiler.ops.record import (
    Composite,
    Cost,
    ElementContext,
    FromBody,
    OpRecord,
    Reduction,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.reducers import extreme
from tensorkiln.compiler.ops.shorthand import (
    compare,
    full,
    index_dtype,
    reshape,
    scalar,
    select,
    take,
    zeros_like,
)
from tensorkiln.compiler.ops.windows import WindowDim, meeting_taps, taps_of

Cotangents = Sequence[Value | None]
Pairs = tuple[tuple[int, int], ...]


def arg_reduce_window(
    builder: Builder,
    x: Value,
    kind: str,
    window: Sequence[int],
    strides: Sequence[int],
    window_dilations: Sequence[int],
    padding: Pairs,
) -> tuple[Value, Value]:
    """The extreme (kind max or min) of each window and its index in `x`."""
    values, indices = builder.op(
        "arg_reduce_window",
        (x,),
        {
            "kind": kind,
            "window": tuple(window),
            "strides": tuple(strides),
            "window_dilations": tuple(window_dilations),
            "padding": padding,
            "dtype": index_dtype(x.type.elements),
        },
    )
    return values, indices


def scatter_windows(
    builder: Builder,
    indices: Value,
    source: Value,
    shape: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    window_dilations: Sequence[int],
    padding: Pairs,
) -> Value:
    """Zeros of `shape` with each element of `source` added at its index."""
    return builder.one(
        "scatter_windows",
        (indices, source),
        shape=tuple(shape),
        window=tuple(window),
        strides=tuple(strides),
        window_dilations=tuple(window_dilations),
        padding=padding,
    )


def _window_dims(attributes: Attributes, rank: int) -> tuple[WindowDim, ...]:
    """C1: window, strides, dilations and padding have an entry for each dim.  C2: sizes, strides
    and dilations are positive."""
    window, strides = ints(attributes, "window"), ints(attributes, "strides")
    padding = pairs(attributes, "padding")
    dilations = (1,) * rank
    if "window_dilations" in attributes:
        dilations = ints(attributes, "window_dilations")
    fits = {len(window), len(strides), len(dilations), len(padding)} == {rank}
    require(fits, f"C1: window, strides, dilations and padding must have {rank} entries")
    found = tuple(
        WindowDim(size, stride, low, high, 1, dilation)
        for size, stride, (low, high), dilation in zip(
            window, strides, padding, dilations, strict=True
        )
    )
    for axis, dim in enumerate(found):
        dim.check(f"dim {axis}")
    return found


def _counts(windows: Sequence[WindowDim], kind: TensorType) -> TensorType:
    return kind.with_shape(tuple(w.count(d) for w, d in zip(windows, kind.shape, strict=True)))


def _strides(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _arg_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1, C2: see _window_dims.  C3: kind is max or min.  C4: the operand holds numbers.
    C5: indices are i32 or i64."""
    (x,), dtype = expect(types, 1), attributes["dtype"]
    values = _counts(_window_dims(attributes, x.rank), x)
    require(attributes["kind"] in KINDS, f"C3: kind is max or min, not {attributes['kind']!r}")
    require(x.dtype.is_number, f"C4: the operand {x} does not hold numbers")
    require(dtype in (I32, I64), f"C5: indices are i32 or i64, not {dtype}")
    assert isinstance(dtype, DType)
    return values, values.with_dtype(dtype)


def _windows(op: Op) -> tuple[WindowDim, ...]:
    return _window_dims(op.attributes, len(op.ints("window")))


def _arg_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    x: Any = arrays[0]
    windows, counts = _windows(op), op.results[0].shape
    kind, index_kind = op.operands[0].dtype, op.dtype("dtype").numpy
    nowhere = extreme(op.dtype("dtype"), lowest=False)
    numbers = np.arange(x.size, dtype=index_kind).reshape(x.shape)
    values = np.full(counts, extreme(kind, lowest=op.string("kind") == "max"), x.dtype)
    indices = np.full(counts, nowhere, index_kind)
    for tap in meeting_taps(windows, x.shape, counts):
        outer, inner = taps_of(windows, tap, x.shape, counts)
        old, new = values[outer], x[inner]
        beyond = new > old if op.string("kind") == "max" else new < old
        if kind.is_float:
            beyond |= np.isnan(new) & ~np.isnan(old)
        # Taps come in row-major order, so only a window without element yet takes an equal one.
        wins = beyond | ((indices[outer] == nowhere) & (new == old))
        values[outer] = np.where(wins, new, old)
        indices[outer] = np.where(wins, numbers[inner], indices[outer])
    return [values, indices]


def _arg_extents(op: Op) -> tuple[int, ...]:
    return op.ints("window")


def _arg_initial(op: Op) -> tuple[Expr, ...]:
    return initial_extreme(op.string("kind"), op.operands[0].dtype, op.dtype("dtype"))


def _arg_valid(op: Op, index: Index, inner: Index) -> Expr | None:
    shape = op.operands[0].shape
    return all_of(
        condition
        for window, size, o, w in zip(_windows(op), shape, index, inner, strict=True)
        for condition in window.conditions(window.position(o, w), size)
    )


def _arg_element(context: ElementContext, op: Op, index: Index, inner: Index) -> tuple[Expr, ...]:
    (x,) = op.operands
    source = tuple(
        window.position(o, w) for window, o, w in zip(_windows(op), index, inner, strict=True)
    )
    number = flatten(source, _strides(x.shape))
    return context.read(x, source), widened(number, op.dtype("dtype"))


def _arg_combine(
    context: ElementContext, op: Op, a: tuple[Expr, ...], b: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    return combine_extreme(context, op.string("kind"), a, b)


def _arg_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x,), g = op.operands, cotangents[0]
    if g is None:
        return [None]
    numbers = (op.ints("window"), op.ints("strides"), op.ints("window_dilations"))
    padding = pairs(op.attributes, "padding")
    return [scatter_windows(builder, op.results[1], g, x.shape, *numbers, padding)]


def _arg_cost(op: Op) -> Cost:
    """One comparison a tap of each window."""
    return Cost(op.results[0].type.elements * math.prod(op.ints("window")), bytes_moved(op))


def _scatter_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1, C2: see _window_dims.  C3: indices are i32 or i64.  C4: indices and source have the
    shape of the windows over `shape`.  C5: the source holds numbers."""
    indices, source = expect(types, 2)
    result = source.with_shape(ints(attributes, "shape"))
    counts = _counts(_window_dims(attributes, result.rank), result)
    require(indices.dtype in (I32, I64), f"C3: indices are i32 or i64, not {indices.dtype}")
    fits = source == counts and indices.shape == counts.shape
    require(fits, f"C4: {indices} and {source} for windows {counts} over {result}")
    require(source.dtype.is_number, f"C5: the source {source} does not hold numbers")
    return (result,)


def _scatter_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    indices: Any = arrays[0]
    source, kind = arrays[1], op.result.dtype
    total = np.zeros(op.result.type.elements, accumulator(kind).numpy)
    inside = (indices >= 0) & (indices < total.size)
    np.add.at(total, indices[inside], source[inside].astype(total.dtype))
    return [total.reshape(op.result.shape).astype(kind.numpy)]


def _scatter_extents(op: Op) -> tuple[int, ...]:
    # An element is covered by at most this many windows of each dim.
    return tuple(-(-window.span // window.stride) for window in _windows(op))


def _scatter_initial(op: Op) -> tuple[Expr, ...]:
    state = accumulator(op.result.dtype)
    return (Const(0.0 if state.is_float else 0, state),)


def _covering(op: Op, index: Index, inner: Index) -> Index:
    """The window number `inner` of those that may cover the element `index`."""
    return tuple(
        add(sub(floordiv(add(i, const(w.low)), w.stride), const(many - 1)), k)
        for w, i, many, k in zip(_windows(op), index, _scatter_extents(op), inner, strict=True)
    )


def _scatter_valid(op: Op, index: Index, inner: Index) -> Expr | None:
    counts, covering = op.operands[1].shape, _covering(op, index, inner)
    return all_of(c for o, n in zip(covering, counts, strict=True) for c in between(o, 0, n))


def _scatter_element(
    context: ElementContext, op: Op, index: Index, inner: Index
) -> tuple[Expr, ...]:
    (indices, source), (zero,) = op.operands, _scatter_initial(op)
    covering = _covering(op, index, inner)
    number = widened(flatten(index, _strides(op.result.shape)), indices.dtype)
    chosen = context.let(Binary("eq", context.read(indices, covering), number))
    return (Select(chosen, widened(context.read(source, covering), zero.dtype), zero),)


def _scatter_combine(
    context: ElementContext, op: Op, a: tuple[Expr, ...], b: tuple[Expr, ...]
) -> tuple[Expr, ...]:
    return (Binary("add", a[0], b[0]),)


def _scatter_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (indices, source), (g,) = op.operands, cotangents
    if g is None:
        return [None, None]
    elements = g.type.elements
    if not elements:
        return [None, zeros_like(builder, source)]
    found = take(builder, reshape(builder, g, (elements,)), indices)
    inside = compare(builder, "LT", indices, scalar(builder, elements, indices.dtype))
    return [None, select(builder, inside, found, zeros_like(builder, source))]


def _scatter_cost(op: Op) -> Cost:
    """One comparison and one addition for each window that may cover an element."""
    taps = math.prod(_scatter_extents(op))
    return Cost(2 * op.result.type.elements * taps, bytes_moved(op))


def _select_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1, C2: see _window_dims.  C3: the source has the operand's dtype and the shape of its
    windows.  C4: the operand holds numbers."""
    x, source = expect(types, 2)
    counts = _counts(_window_dims(attributes, x.rank), x)
    require(source == counts, f"C3: source {source} for windows {counts} over {x}")
    require(x.dtype.is_number, f"C4: the operand {x} does not hold numbers")
    return (x,)


def _select_body(builder: Builder, op: Op) -> Sequence[Value]:
    x, source = op.operands
    if not source.type.elements:
        return [full(builder, x.type.shape, 0, x.dtype)]
    numbers = (op.ints("window"), op.ints("strides"), (1,) * x.type.rank)
    padding = pairs(op.attributes, "padding")
    _, indices = arg_reduce_window(builder, x, "max", *numbers, padding)
    return [scatter_windows(builder, indices, source, x.shape, *numbers, padding)]


def _select_cost(op: Op) -> Cost:
    """A comparison a tap of each window, and an addition for each window."""
    taps = math.prod(op.ints("window")) + 1
    return Cost(op.operands[1].type.elements * taps, bytes_moved(op))


_GEOMETRY = {"window": "ints", "strides": "ints", "window_dilations": "ints", "padding": "pairs"}

RECORDS = (
    OpRecord(
        "arg_reduce_window",
        {"kind": "str", **_GEOMETRY, "dtype": "dtype"},
        _arg_types,
        _arg_evaluate,
        _arg_gradient,
        Reduction(_arg_extents, _arg_initial, _arg_element, _arg_combine, _arg_valid),
        _arg_cost,
    ),
    OpRecord(
        "scatter_windows",
        {"shape": "ints", **_GEOMETRY},
        _scatter_types,
        _scatter_evaluate,
        _scatter_gradient,
        Reduction(
            _scatter_extents, _scatter_initial, _scatter_element, _scatter_combine, _scatter_valid
        ),
        _scatter_cost,
    ),
    OpRecord(
        "select_and_scatter",
        {"window": "ints", "strides": "ints", "padding": "pairs"},
        _select_types,
        FromBody(_select_body),
        FromBody(_select_body),
        Composite(_select_body),
        _select_cost,
    ),
)
