"""Ops that take and join boxes: slice concatenate pad.

Rules and names are StableHLO's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dims import Dim, add_dims, scale_dim
from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Expr, Index, Select
from tensorkiln.compiler.kernel.index import add, const, floordiv, mul, sub
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import (
    TRUE,
    all_of,
    at_most,
    between,
    dilated,
    dims,
    divides,
    expect,
    guarded,
    ints,
    require,
)
from tensorkiln.compiler.ops.record import (
    Element,
    ElementContext,
    OpRecord,
    Types,
    movement_cost,
)
from tensorkiln.compiler.ops.shorthand import (
    full,
    pad,
    reduce_sum,
    select,
    slice_axis,
    unpad,
    zeros_like,
)
from tensorkiln.runtime.errors import UnsupportedError

Cotangents = Sequence[Value | None]


def _slice_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: a start, limit and stride for each dim.  C2: 0 <= start <= limit <= size.
    C3: strides are positive.  C4: a symbolic extent is taken with stride 1."""
    (x,), limits = expect(types, 1), dims(attributes, "limit")
    starts, strides = ints(attributes, "start"), ints(attributes, "strides")
    counts = {len(starts), len(limits), len(strides)}
    require(counts == {x.rank}, f"C1: start, limit and strides must have {x.rank} numbers for {x}")
    shape: list[Dim] = []
    for size, start, limit, stride in zip(x.shape, starts, limits, strides, strict=True):
        inside = start >= 0 and at_most(start, limit) and at_most(limit, size)
        require(inside, f"C2: 0 <= {start} <= {limit} <= {size} is not certain")
        require(stride >= 1, f"C3: stride {stride} is not positive")
        extent = add_dims(limit, -start)
        if isinstance(extent, int):
            shape.append(-(-extent // stride))
        else:
            require(stride == 1, f"C4: stride {stride} over {extent} elements")
            shape.append(extent)
    return (x.with_shape(tuple(shape)),)


def _slice_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    ends = zip(op.ints("start"), op.ints("limit"), op.ints("strides"), strict=True)
    return [np.asarray(arrays[0][tuple(slice(*end) for end in ends)], order="C")]


def _slice_element(context: ElementContext, op: Op, index: Index) -> Expr:
    steps = zip(index, op.ints("start"), op.ints("strides"), strict=True)
    return context.read(op.operands[0], tuple(add(mul(i, k), const(s)) for i, s, k in steps))


def _slice_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x,), (g,) = op.operands, cotangents
    if g is None:
        return [None]
    starts, strides = op.ints("start"), op.ints("strides")
    high: list[int] = []
    for size, start, stride, taken in zip(x.type.shape, starts, strides, g.type.shape, strict=True):
        rest = add_dims(add_dims(size, -start), scale_dim(dilated(taken, stride), -1))
        if not isinstance(rest, int):
            raise UnsupportedError(f"slice of {x.type}: its gradient needs a static remainder")
        high.append(rest)
    return [pad(builder, g, starts, high, [stride - 1 for stride in strides])]


def _concatenate_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: there is an operand.  C2: dimension is one of their dims.  C3: operands have one dtype
    and, but for dimension, one shape."""
    require(bool(types), "C1: concatenate needs an operand")
    first, dimension = types[0], attributes["dimension"]
    fits = isinstance(dimension, int) and 0 <= dimension < first.rank
    require(fits, f"C2: {first} has no dimension {dimension}")
    assert isinstance(dimension, int)
    total: Dim = 0
    for kind in types:
        same = kind.dtype == first.dtype and kind.rank == first.rank
        same = same and all(
            a == b
            for axis, (a, b) in enumerate(zip(kind.shape, first.shape, strict=True))
            if axis != dimension
        )
        require(same, f"C3: {kind} does not join {first} along dimension {dimension}")
        total = add_dims(total, kind.shape[dimension])
    shape = (*first.shape[:dimension], total, *first.shape[dimension + 1 :])
    return (first.with_shape(shape),)


def _concatenate_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.concatenate(arrays, axis=op.integer("dimension"))]


def _concatenate_element(context: ElementContext, op: Op, index: Index) -> Expr:
    axis = op.integer("dimension")
    position, begin = index[axis], 0
    pieces: list[tuple[Expr | None, Expr]] = []  # (is it before the piece's end, element)
    for operand in op.operands:
        end = begin + operand.shape[axis]
        if begin == end:
            continue
        local = (*index[:axis], sub(position, const(begin)), *index[axis + 1 :])
        with guarded(context, all_of(between(position, begin, end))):
            element = context.read(operand, local)
        pieces.append((all_of(between(position, 0, end)), element))
        begin = end
    if not pieces:
        return context.read(op.operands[0], index)
    result = pieces[-1][1]
    for before_end, element in reversed(pieces[:-1]):
        result = Select(TRUE if before_end is None else before_end, element, result)
    return context.let(result)


def _concatenate_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (g,), axis = cotangents, op.integer("dimension")
    if g is None:
        return [None] * len(op.operands)
    found: list[Value] = []
    begin: Dim = 0
    for operand in op.operands:
        if not isinstance(begin, int):
            raise UnsupportedError("concatenate after a symbolic operand has no gradient yet")
        end = add_dims(begin, operand.type.shape[axis])
        found.append(slice_axis(builder, g, axis, begin, end))
        begin = end
    return found


def _pad_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the padding is a scalar of the operand's dtype.  C2: low, high and interior have a
    number for each dim.  C3: interior is not negative.  C4: no result size is negative."""
    x, value = expect(types, 2)
    require(value == TensorType((), x.dtype), f"C1: padding {value} for operand {x}")
    low, high, interior = (ints(attributes, name) for name in ("low", "high", "interior"))
    counts = {len(low), len(high), len(interior)}
    require(counts == {x.rank}, f"C2: low, high and interior must have {x.rank} numbers for {x}")
    require(all(n >= 0 for n in interior), f"C3: interior {interior} is negative")
    shape = tuple(
        add_dims(dilated(size, inner + 1), before + after)
        for size, before, after, inner in zip(x.shape, low, high, interior, strict=True)
    )
    positive = all(at_most(0, size) for size in shape)
    require(positive, f"C4: padding low {low} high {high} interior {interior} of {x} is negative")
    return (x.with_shape(shape),)


def _pad_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    x, value = arrays
    result = np.full(op.result.shape, value, x.dtype)
    into, taken = [], []
    for size, before, inner, total in zip(
        x.shape, op.ints("low"), op.ints("interior"), result.shape, strict=True
    ):
        step = inner + 1
        first = max(0, -(before // step))  # the first element that is not cropped
        last = min(size, -(-(total - before) // step))
        last = max(first, last)
        taken.append(slice(first, last))
        into.append(slice(before + first * step, before + last * step, step))
    if all(piece.stop > piece.start for piece in taken):
        result[tuple(into)] = x[tuple(taken)]
    return [result]


def _pad_element(context: ElementContext, op: Op, index: Index) -> Expr:
    x, value = op.operands
    if not x.type.elements:
        return context.read(value, ())
    conditions: list[Expr] = []
    source: list[Expr] = []
    for i, size, before, inner in zip(
        index, x.shape, op.ints("low"), op.ints("interior"), strict=True
    ):
        position, step = sub(i, const(before)), inner + 1
        conditions += between(position, 0, (size - 1) * step + 1)
        conditions += divides(position, step)
        source.append(floordiv(position, step))
    inside = all_of(conditions)
    with guarded(context, inside):
        element = context.read(x, tuple(source))
    if inside is None:
        return element
    return context.let(Select(inside, element, context.read(value, ())))


def _pad_gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    (x, _), (g,) = op.operands, cotangents
    if g is None:
        return [None, None]
    low, high, interior = (op.ints(name) for name in ("low", "high", "interior"))
    inside = full(builder, x.type.shape, False, BOOL)
    hole = pad(builder, inside, low, high, interior, True)
    filled = reduce_sum(builder, select(builder, hole, g, zeros_like(builder, g)))
    return [unpad(builder, g, low, high, interior), filled]


RECORDS = (
    OpRecord(
        "slice",
        {"start": "ints", "limit": "dims", "strides": "ints"},
        _slice_types,
        _slice_evaluate,
        _slice_gradient,
        Element(_slice_element),
        movement_cost,
    ),
    OpRecord(
        "concatenate",
        {"dimension": "int"},
        _concatenate_types,
        _concatenate_evaluate,
        _concatenate_gradient,
        Element(_concatenate_element),
        movement_cost,
    ),
    OpRecord(
        "pad",
        {"low": "ints", "high": "ints", "interior": "ints"},
        _pad_types,
        _pad_evaluate,
        _pad_gradient,
        Element(_pad_element),
        movement_cost,
    ),
)
