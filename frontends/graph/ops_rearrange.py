"""Elements in another order: rolled, reversed in part, permuted, repeated, put on grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import ones, range_
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_reduce import reduce_max
from tensorkiln.frontends.graph.ops_shape import expand_dims, reshape
from tensorkiln.frontends.graph.rows import put_rows
from tensorkiln.frontends.graph.rules import axis_in, base, like_input
from tensorkiln.frontends.graph.statics import static_array, static_integers
from tensorkiln.frontends.graph.tensor import Tensor


def roll(input: object, shift: object, axis: object, name: str | None = None) -> Tensor:
    """Elements moved along an axis (or several) by `shift` places, from the end to the start."""
    return make("Roll", (input, shift, axis), name)


def _roll_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x = lowering.builder, values[0]
    axes = lowering.integers(op, 2, values)
    shifts = shorthand.reshape(builder, values[1], (len(axes),))
    known = lowering.known(shifts)
    for k, axis in enumerate(axes):
        place = axis % len(x.shape)
        length = x.shape[place]
        if not length:
            continue
        if known is not None:
            by = int(known[k]) % length
            parts = [
                shorthand.slice_axis(builder, x, place, length - by, length),
                shorthand.slice_axis(builder, x, place, 0, length - by),
            ]
            x = shorthand.concat(builder, [p for p in parts if p.shape[place]], place)
        else:
            x = _rolled(lowering, x, place, shorthand.slice_axis(builder, shifts, 0, k, k + 1))
    return [x]


def _rolled(lowering: Lowering, x: Value, axis: int, shift: Value) -> Value:
    """By a number that only a run knows: a window over the tensor put down twice."""
    builder, length = lowering.builder, x.shape[axis]
    size = shorthand.scalar(builder, length, shift.dtype)
    rest = shorthand.binary(builder, "remainder", shorthand.reshape(builder, shift, ()), size)
    start = builder.one("subtract", (size, rest))  # in (0, 2 length)
    start = builder.one("remainder", (start, size))
    twice = shorthand.concat(builder, [x, x], axis)
    zero = shorthand.scalar(builder, 0, shift.dtype)
    starts = [start if k == axis else zero for k in range(len(x.shape))]
    return shorthand.dynamic_slice(builder, twice, starts, x.shape)


def reverse_sequence(
    input: object, seq_lengths: object, seq_axis: int | None = None, batch_axis: int | None = None,
    name: str | None = None, seq_dim: int | None = None, batch_dim: int | None = None,
) -> Tensor:  # fmt: skip
    """Each sequence of the batch read backwards over its own length; the rest stays."""
    along = seq_dim if seq_axis is None else seq_axis
    across = batch_dim if batch_axis is None else batch_axis
    if along is None:
        raise ValueError("reverse_sequence needs seq_axis")
    return make(
        "ReverseSequence",
        (input, seq_lengths),
        name,
        seq_dim=int(along),
        batch_dim=int(across or 0),
    )


def _reverse_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x, lengths) = lowering.builder, values
    rank = len(x.shape)
    along, across = (
        axis_in(op.integer("seq_dim"), x.shape),
        axis_in(op.integer("batch_dim"), x.shape),
    )
    rest = [k for k in range(rank) if k not in (along, across)]
    order = (across, along, *rest)
    moved = shorthand.transpose(builder, x, order)
    shape = moved.shape[:2]
    steps = shorthand.iota(builder, shape, 1, lengths.dtype)
    sizes = shorthand.broadcast_in_dim(builder, lengths, shape, (0,))
    one = shorthand.scalar(builder, 1, lengths.dtype)
    mirrored = shorthand.binary(builder, "subtract", builder.one("subtract", (sizes, steps)), one)
    inside = shorthand.compare(builder, "LT", steps, sizes)
    places = shorthand.select(builder, inside, mirrored, steps)
    batch = shorthand.iota(builder, shape, 0, lengths.dtype)
    indices = shorthand.stack(builder, [batch, places], -1)
    picked = builder.one(
        "gather", (moved, indices), offset_dims=tuple(range(2, rank)),
        collapsed_slice_dims=(0, 1), start_index_map=(0, 1), index_vector_dim=2,
        slice_sizes=(1, 1, *moved.shape[2:]),
    )  # fmt: skip
    back = [order.index(k) for k in range(rank)]
    return [shorthand.transpose(builder, picked, back)]


def invert_permutation(x: object, name: str | None = None) -> Tensor:
    """y with y[x[k]] = k."""
    return make("InvertPermutation", (x,), name)


def _invert_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (x,) = lowering.builder, values
    numbers = shorthand.iota(builder, x.shape, 0, x.dtype)
    return [put_rows(builder, shorthand.zeros_like(builder, x), x, numbers)]


def sequence_mask(
    lengths: object, maxlen: object = None, dtype: object = dtypes.boolean, name: str | None = None
) -> Tensor:
    """For each length a row of `maxlen` (the longest length) elements, true before it."""
    with graph_of([lengths, maxlen]).name_scope(name or "SequenceMask"):
        sizes = convert_to_tensor(lengths)
        known = static_array(sizes)
        if maxlen is None and known is not None and known.size:
            top = convert_to_tensor(max(int(known.max()), 0), base(sizes))
        elif maxlen is None:
            every = list(range(len(sizes.sizes or ())))
            top = make("Maximum", (convert_to_tensor(0, base(sizes)), reduce_max(sizes, every)))
        else:
            top = convert_to_tensor(maxlen)
        if top.shape.ndims not in (None, 0):
            raise ValueError("maxlen must be scalar for sequence_mask")
        one, zero = (convert_to_tensor(n, base(top)) for n in (1, 0))
        row = range_(zero, top, one)
        result = row < cast(expand_dims(sizes, -1), base(top))
        return cast(result, dtype)


def meshgrid(*args: object, **options: object) -> list[Tensor]:
    """Coordinates of a grid over vectors; `indexing` is xy (the default, the first two dims
    exchanged) or ij."""
    indexing, name = options.pop("indexing", "xy"), options.pop("name", None)
    if options:
        raise TypeError(f"'{next(iter(options))}' is an invalid keyword argument for this function")
    if indexing not in ("xy", "ij"):
        raise ValueError("indexing parameter must be either 'xy' or 'ij'")
    with graph_of(args).name_scope(str(name or "meshgrid")):
        rank = len(args)
        parts = [convert_to_tensor(item) for item in args]
        columns = [
            reshape(t, [-1 if axis == k else 1 for axis in range(rank)])
            for k, t in enumerate(parts)
        ]
        shapes = [make("Size", (t,), out_type=dtypes.int32) for t in parts]
        if indexing == "xy" and rank > 1:
            columns[0] = reshape(columns[0], [1, -1, *([1] * (rank - 2))])
            columns[1] = reshape(columns[1], [-1, 1, *([1] * (rank - 2))])
            shapes[0], shapes[1] = shapes[1], shapes[0]
        filler = ones(make("Pack", (shapes,), "stack", axis=0), base(parts[0])) if parts else None
        return [column * filler for column in columns]


def repeat(
    input: object, repeats: object, axis: int | None = None, name: str | None = None
) -> Tensor:
    """Each element (each slice along `axis`) so many times in a row; counts must be constants."""
    with graph_of([input, repeats]).name_scope(name or "Repeat"):
        tensor = convert_to_tensor(input)
        if axis is None:
            tensor, axis = reshape(tensor, [-1]), 0
        counts = static_integers(convert_to_tensor(repeats))
        place = axis_in(axis, tensor.sizes or ())
        length = (tensor.sizes or ())[place]
        if counts is None or length is None:
            raise ValueError("repeat needs constant repeats and a known size of the axis")
        spread = np.repeat(np.arange(length), counts if len(counts) > 1 else counts[0])
        return make("GatherV2", (tensor, spread.astype(np.int32), place))


def unravel_index(indices: object, dims: object, name: str | None = None) -> Tensor:
    """The index tuples of places in a row-major tensor of shape `dims`, one a column."""
    return make("UnravelIndex", (indices, dims), name)


def _unravel_infer(op: Operation) -> Sequence[Result]:
    indices, dims = op.inputs
    if indices.sizes is None or dims.sizes is None:
        return [(base(indices), None)]
    return [(base(indices), (dims.sizes[0], *indices.sizes))]


def _unravel_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, rest = lowering.builder, values[0]
    found = []
    for size in reversed(lowering.integers(op, 1, values)):
        divisor = shorthand.scalar(builder, size, rest.dtype)
        found.append(shorthand.binary(builder, "remainder", rest, divisor))
        rest = shorthand.binary(builder, "divide", rest, divisor)
    return [shorthand.stack(builder, found[::-1], 0)]


def searchsorted(
    sorted_sequence: object, values: object, side: str = "left", out_type: object = dtypes.int32,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Where each value would go into a sorted row: before equal ones (left) or after (right)."""
    if side not in ("left", "right"):
        raise ValueError(f"side must be either 'right' or 'left'.  Saw: {side}.")
    with graph_of([sorted_sequence, values]).name_scope(name or "searchsorted"):
        kind = "LowerBound" if side == "left" else "UpperBound"
        return make(kind, (sorted_sequence, values), out_type=dtypes.as_dtype(out_type))


def _bound_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["out_type"]
    assert isinstance(dtype, dtypes.DType)
    return [(dtype, op.inputs[1].sizes)]


def _bound_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (row, wanted) = lowering.builder, values
    rank = len(row.shape)
    shape = (*wanted.shape, row.shape[-1])
    lead = range(rank - 1)
    spread = shorthand.broadcast_in_dim(builder, row, shape, (*lead, rank))
    value = shorthand.broadcast_in_dim(builder, wanted, shape, range(rank))
    before = shorthand.compare(builder, "LT" if op.type == "LowerBound" else "LE", spread, value)
    count = shorthand.reduce_sum(builder, shorthand.convert(builder, before, I64), (rank,))
    return [shorthand.convert(builder, count, op.outputs[0].dtype.ir)]


register(
    OpKind("Roll", "input:T shift:index axis:index", like_input, _roll_lower),
    OpKind("ReverseSequence", "input:T seq_lengths:index", like_input, _reverse_lower),
    OpKind("InvertPermutation", "x:index", like_input, _invert_lower, differentiable=False),
    OpKind("UnravelIndex", "indices:I dims:I", _unravel_infer, _unravel_lower,
           differentiable=False),
    *(
        OpKind(name, "sorted_inputs:T values:T", _bound_infer, _bound_lower, differentiable=False)
        for name in ("LowerBound", "UpperBound")
    ),
)  # fmt: skip
