"""Tensors joined and taken apart along a dim."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import Convertible, contains_tensor, convert_to_tensor
from tensorkiln.frontends.graph.dimension import Size
from tensorkiln.frontends.graph.dtypes import int32
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import axis_in, base
from tensorkiln.frontends.graph.shapes import ShapeError, Sizes, brackets, merge, show
from tensorkiln.frontends.graph.statics import static_integer, static_integers
from tensorkiln.frontends.graph.tensor import Tensor


def concat(values: object, axis: object, name: str = "concat") -> Tensor:
    """The tensors one after the other along `axis`."""
    parts = list(values) if isinstance(values, list | tuple) else [values]
    if len(parts) == 1:
        with graph_of(parts).name_scope(name) as scope:
            place = convert_to_tensor(axis, int32, "concat_dim")
            if place.sizes not in ((), None):
                raise ValueError(f"Shape {show(place.sizes)} must have rank 0")
            return make("Identity", (convert_to_tensor(parts[0]),), scope)
    return make("ConcatV2", (parts, axis), name)


def _concat_infer(op: Operation) -> Sequence[Result]:
    parts, axis = op.inputs[:-1], static_integer(op.inputs[-1])
    known = [part.sizes for part in parts if part.sizes is not None]
    if not known:
        return [(base(parts[0]), None)]
    if axis is None:
        return [(base(parts[0]), (None,) * len(known[0]))]
    place = axis_in(axis, known[0])
    merged: Sizes = (None,) * len(known[0])
    for sizes in known:
        if len(sizes) != len(known[0]):
            raise ShapeError(f"Shapes must be equal rank, but are {len(known[0])} and {len(sizes)}")
        merged = _merge_all(merged, (*sizes[:place], None, *sizes[place + 1 :]))
    total: Size = 0
    for part in parts:
        length = None if part.sizes is None else part.sizes[place]
        total = None if total is None or length is None else total + length
    assert merged is not None
    return [(base(parts[0]), (*merged[:place], total, *merged[place + 1 :]))]


def _merge_all(a: Sizes, b: Sizes) -> Sizes:
    for k, (x, y) in enumerate(zip(a or (), b or (), strict=True)):
        if x is not None and y is not None and x != y:
            raise ShapeError(f"Dimension {k} in both shapes must be equal, but are {x} and {y}")
    return merge(a, b)


def _concat_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    axis = lowering.integer(op, len(values) - 1, values)
    first, place = values[0].shape, axis % max(len(values[0].shape), 1)
    for k, part in enumerate(values[:-1]):
        if len(part.shape) != len(first) or any(
            m != n for d, (m, n) in enumerate(zip(first, part.shape, strict=True)) if d != place
        ):
            raise invalid(
                op,
                "ConcatOp : Dimensions of inputs should match: shape[0] = "
                f"{brackets(first)} vs. shape[{k}] = {brackets(part.shape)}",
            )
    return [shorthand.concat(lowering.builder, values[:-1], axis)]


def stack(values: object, axis: int = 0, name: str = "stack") -> Tensor:
    """Tensors of one shape along a new dim at `axis`."""
    parts = list(values) if isinstance(values, list | tuple) else [values]
    if axis and parts and not isinstance(parts[0], Convertible) and not contains_tensor(parts[0]):
        # TensorFlow makes this constant to look at its shape, and seeds count the ops of a graph.
        with graph_of(parts).as_default():
            convert_to_tensor(parts[0], name=name)
    return make("Pack", (parts,), name, axis=axis)


def _pack_infer(op: Operation) -> Sequence[Result]:
    merged: Sizes = None
    for part in op.inputs:
        if merged is not None and part.sizes is not None and len(merged) != len(part.sizes):
            raise ShapeError(
                f"Shapes must be equal rank, but are {len(merged)} and {len(part.sizes)}"
            )
        if merged is not None and part.sizes is not None:
            merged = _merge_all(merged, part.sizes)
        else:
            merged = merge(merged, part.sizes)
    if merged is None:
        return [(base(op.inputs[0]), None)]
    place = axis_in(op.integer("axis"), (*merged, 1))
    return [(base(op.inputs[0]), (*merged[:place], len(op.inputs), *merged[place:]))]


def _pack_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    place = op.integer("axis")
    rank = len(values[0].shape) + 1
    return [shorthand.stack(lowering.builder, values, place % rank)]


def unstack(
    value: object, num: int | None = None, axis: int = 0, name: str = "unstack"
) -> list[Tensor]:
    """The slices along `axis`, as a list of tensors without that dim."""
    tensor = convert_to_tensor(value)
    if num is None:
        if tensor.sizes is None:
            raise ValueError(f"Cannot infer num from shape {tensor.shape}")
        num = tensor.sizes[axis_in(axis, tensor.sizes)]
        if num is None:
            raise ValueError(f"Cannot infer num from shape {tensor.shape}")
    return apply_op("Unpack", (tensor,), name, {"num": num, "axis": axis}).outputs


def _unpack_infer(op: Operation) -> Sequence[Result]:
    tensor, count = op.inputs[0], op.integer("num")
    if tensor.sizes is None:
        return [(base(tensor), None)] * count
    place = axis_in(op.integer("axis"), tensor.sizes)
    if tensor.sizes[place] not in (None, count):
        raise ShapeError(f"Dimension must be {count} but is {tensor.sizes[place]}")
    return [(base(tensor), (*tensor.sizes[:place], *tensor.sizes[place + 1 :]))] * count


def _unpack_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x = lowering.builder, values[0]
    axis = op.integer("axis") % len(x.shape)
    return [
        shorthand.squeeze(builder, shorthand.slice_axis(builder, x, axis, k, k + 1), (axis,))
        for k in range(op.integer("num"))
    ]


def split(
    value: object, num_or_size_splits: object, axis: object = 0, num: int | None = None,
    name: str = "split",
) -> list[Tensor]:  # fmt: skip
    """Equal parts along `axis` (a number of parts) or parts of the given sizes (a list)."""
    if isinstance(num_or_size_splits, int | np.integer):
        count = int(num_or_size_splits)
        return apply_op("Split", (axis, value), name, {"num_split": count}).outputs
    sizes = tuple(int(item) for item in np.asarray(num_or_size_splits).reshape(-1))
    attributes = {"num_split": len(sizes)}
    return apply_op("SplitV", (value, list(sizes), axis), name, attributes).outputs


def _split_infer(op: Operation) -> Sequence[Result]:
    axis, tensor, count = static_integer(op.inputs[0]), op.inputs[1], op.integer("num_split")
    if tensor.sizes is None or axis is None:
        return [(base(tensor), None)] * count
    place = axis_in(axis, tensor.sizes)
    length = tensor.sizes[place]
    if length is not None and length % count:
        raise ShapeError(f"Dimension size must be evenly divisible by {count} but is {length}")
    part = None if length is None else length // count
    return [(base(tensor), (*tensor.sizes[:place], part, *tensor.sizes[place + 1 :]))] * count


def _split_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    x, count = values[1], op.integer("num_split")
    axis = lowering.integer(op, 0, values) % len(x.shape)
    if x.shape[axis] % count:
        raise invalid(
            op,
            "Number of ways to split should evenly divide the split dimension, but got split_dim "
            f"{axis} (size = {x.shape[axis]}) and num_split {count}",
        )
    return _parts(lowering, x, axis, [x.shape[axis] // count] * count)


def _split_v_infer(op: Operation) -> Sequence[Result]:
    tensor, count = op.inputs[0], op.integer("num_split")
    sizes, axis = static_integers(op.inputs[1]), static_integer(op.inputs[2])
    if tensor.sizes is None or axis is None or sizes is None:
        return [(base(tensor), None)] * count
    place = axis_in(axis, tensor.sizes)
    length = tensor.sizes[place]
    if -1 not in sizes and length is not None and sum(sizes) != length:
        raise ShapeError(f"Dimensions must be equal, but are {length} and {sum(sizes)}")
    rest = None if length is None else length - sum(sizes) - 1
    parts = [rest if size == -1 else size for size in sizes]
    return [(base(tensor), (*tensor.sizes[:place], p, *tensor.sizes[place + 1 :])) for p in parts]


def _split_v_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    x, sizes = values[0], lowering.integers(op, 1, values)
    axis = lowering.integer(op, 2, values) % len(x.shape)
    rest = x.shape[axis] - sum(sizes) - 1
    if rest < 0 if -1 in sizes else rest != -1:
        raise invalid(
            op,
            "Determined shape must either match input shape along split_dim exactly if fully "
            "specified, or be less than the size of the input along split_dim if not fully "
            f"specified.  Got: {sum(size for size in sizes if size >= 0)}",
        )
    return _parts(lowering, x, axis, [rest if size == -1 else size for size in sizes])


def _parts(lowering: Lowering, x: Value, axis: int, sizes: Sequence[int]) -> list[Value]:
    ends = np.cumsum(sizes).tolist()
    return [
        shorthand.slice_axis(lowering.builder, x, axis, end - size, end)
        for size, end in zip(sizes, ends, strict=True)
    ]


register(
    OpKind("ConcatV2", "values:T* axis:index", _concat_infer, _concat_lower),
    OpKind("Pack", "values:T*", _pack_infer, _pack_lower),
    OpKind("Unpack", "value:T", _unpack_infer, _unpack_lower),
    OpKind("Split", "split_dim:int32 value:T", _split_infer, _split_lower),
    OpKind("SplitV", "value:T size_splits:index split_dim:int32", _split_v_infer, _split_v_lower),
)
