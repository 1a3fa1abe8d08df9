"""Shapes of tensors, and the same elements in another shape or order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import axis_in, base
from tensorkiln.frontends.graph.shapes import ShapeError, TensorShape, as_sizes, brackets, broadcast
from tensorkiln.frontends.graph.statics import static_integers, static_shape
from tensorkiln.frontends.graph.tensor import Tensor


def _out_type(op: Operation) -> DType:
    dtype = op.attributes["out_type"]
    assert isinstance(dtype, DType)
    return dtype


def _shape_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    return [(_out_type(op), (None if sizes is None else len(sizes),))]


def _scalar_infer(op: Operation) -> Sequence[Result]:
    return [(_out_type(op), ())]


def _shape_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    shape = values[0].shape
    numbers = {"Shape": shape, "Size": math.prod(shape), "Rank": len(shape)}[op.type]
    array = np.array(numbers, op.outputs[0].dtype.numpy)
    return [lowering.builder.one("constant", value=array)]


def shape(input: object, name: str | None = None, out_type: object = dtypes.int32) -> Tensor:
    """The shape as a vector of integers; a constant where it is fully known."""
    return _sized("Shape", input, name, out_type)


def size(input: object, name: str | None = None, out_type: object = dtypes.int32) -> Tensor:
    """The number of elements."""
    return _sized("Size", input, name, out_type)


def rank(input: object, name: str | None = None) -> Tensor:
    """The number of dims."""
    return _sized("Rank", input, name, dtypes.int32)


def _sized(kind: str, value: object, name: str | None, out_type: object) -> Tensor:
    return make(kind, (value,), name, out_type=dtypes.as_dtype(out_type))


def reshape(tensor: object, shape: object, name: str | None = None) -> Tensor:
    """The elements in another shape; one size may be -1, which is then worked out."""
    return make("Reshape", (tensor, shape), name)


def _reshape_infer(op: Operation) -> Sequence[Result]:
    tensor, wanted = op.inputs
    sizes = static_shape(wanted)
    count = tensor.shape.num_elements()
    if sizes is None:
        return [(base(tensor), None)]
    known = math.prod(size for size in sizes if size is not None)
    if count is not None and None not in sizes and known != count:
        raise ShapeError(
            f"Cannot reshape a tensor with {count} elements to shape {brackets(sizes)} "
            f"({known} elements)"
        )
    unknown = [k for k, size in enumerate(sizes) if size is None]
    if count is not None and len(unknown) == 1 and known:
        if count % known:
            raise ShapeError(f"Dimension size must be evenly divisible by {known} but is {count}")
        sizes = tuple(count // known if size is None else size for size in sizes)
    return [(base(tensor), sizes)]


def _reshape_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    wanted = lowering.integers(op, 1, values)
    count = values[0].type.elements
    known = math.prod(size for size in wanted if size != -1)
    if -1 in wanted and known and count % known == 0:
        wanted = tuple(count // known if size == -1 else size for size in wanted)
    if math.prod(wanted) != count:
        raise InvalidArgumentError(
            op.name, op,
            f"Input to reshape is a tensor with {count} values, but the requested shape has "
            f"{known}\n\t {op.node_text}",
        )  # fmt: skip
    return [shorthand.reshape(lowering.builder, values[0], wanted)]


def transpose(
    a: object, perm: object = None, name: str = "transpose", conjugate: bool = False
) -> Tensor:
    """Dim k of the result is dim `perm[k]` of `a`; without `perm` the dims are reversed."""
    with graph_of([a]).name_scope(name) as scope:
        tensor = convert_to_tensor(a, name="a")
        if perm is None:
            if tensor.sizes is None:
                raise ValueError("transpose needs perm for a tensor of unknown rank")
            perm = list(range(len(tensor.sizes)))[::-1]
        return make("Transpose", (tensor, convert_to_tensor(perm, name="perm")), scope)


def _transpose_infer(op: Operation) -> Sequence[Result]:
    tensor, order = op.inputs[0], static_integers(op.inputs[1])
    sizes = tensor.sizes
    if sizes is None or order is None:
        return [(base(tensor), None if sizes is None else (None,) * len(sizes))]
    if sorted(order) != list(range(len(sizes))):
        raise ShapeError(f"perm {list(order)} is not a permutation of {len(sizes)} dimensions")
    return [(base(tensor), tuple(sizes[k] for k in order))]


def _transpose_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    order = lowering.integers(op, 1, values)
    return [shorthand.transpose(lowering.builder, values[0], order)]


def expand_dims(
    input: object, axis: object = None, name: str | None = None, dim: object = None
) -> Tensor:
    """The tensor with a dim of size 1 at `axis` of the result."""
    place = dim if axis is None else axis
    if place is None:
        raise ValueError("Must specify an axis argument to tf.expand_dims()")
    return make("ExpandDims", (input, place), name)


def _expand_dims_infer(op: Operation) -> Sequence[Result]:
    tensor, axes = op.inputs[0], static_integers(op.inputs[1])
    if tensor.sizes is None or axes is None:
        rank = None if tensor.sizes is None else (None,) * (len(tensor.sizes) + 1)
        return [(base(tensor), rank)]
    place = axis_in(axes[0], (*tensor.sizes, 1))
    return [(base(tensor), (*tensor.sizes[:place], 1, *tensor.sizes[place:]))]


def _expand_dims_lower(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[Value]:
    axes = lowering.integers(op, 1, values)
    return [shorthand.expand_dims(lowering.builder, values[0], axes)]


def squeeze(
    input: object, axis: object = None, name: str | None = None, squeeze_dims: object = None
) -> Tensor:
    """The tensor without the dims of size 1 at `axis` (an integer or a list; None: all)."""
    chosen = squeeze_dims if axis is None else axis
    if chosen is None:
        axes: tuple[int, ...] = ()
    else:
        axes = tuple(np.atleast_1d(np.asarray(chosen)).tolist())
    return make("Squeeze", (input,), name, squeeze_dims=axes)


def _squeeze_infer(op: Operation) -> Sequence[Result]:
    tensor, axes = op.inputs[0], op.integers("squeeze_dims")
    sizes = tensor.sizes
    if sizes is None or (not axes and None in sizes):
        return [(base(tensor), None)]
    dropped = {axis_in(axis, sizes) for axis in axes}
    for axis in dropped:
        if sizes[axis] not in (1, None):
            raise ShapeError(
                f"Can not squeeze dim[{axis}], expected a dimension of 1, got {sizes[axis]}"
            )
    if not axes:
        dropped = {axis for axis, length in enumerate(sizes) if length == 1}
    return [(base(tensor), tuple(s for k, s in enumerate(sizes) if k not in dropped))]


def _squeeze_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    axes = op.integers("squeeze_dims") or None
    return [shorthand.squeeze(lowering.builder, values[0], axes)]


def broadcast_to(input: object, shape: object, name: str | None = None) -> Tensor:
    """The tensor repeated to `shape` by numpy's rule."""
    return make("BroadcastTo", (input, shape), name)


def _broadcast_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), static_shape(op.inputs[1]))]


def _broadcast_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    wanted = lowering.integers(op, 1, values)
    return [shorthand.broadcast_to(lowering.builder, values[0], wanted)]


def reverse(tensor: object, axis: object, name: str | None = None) -> Tensor:
    """The tensor read backwards along the axes."""
    return make("ReverseV2", (tensor, axis), name)


def _reverse_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    axes = lowering.integers(op, 1, values)
    return [shorthand.reverse(lowering.builder, values[0], axes)]


def _first_like(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), op.inputs[0].sizes)]


def broadcast_static_shape(shape_x: object, shape_y: object) -> TensorShape:
    """The static shape that broadcasting two static shapes gives."""
    return TensorShape(broadcast(as_sizes(shape_x), as_sizes(shape_y)))


register(
    OpKind("Shape", "input:T", _shape_infer, _shape_lower, differentiable=False),
    OpKind("Size", "input:T", _scalar_infer, _shape_lower, differentiable=False),
    OpKind("Rank", "input:T", _scalar_infer, _shape_lower, differentiable=False),
    OpKind("Reshape", "tensor:T shape:index", _reshape_infer, _reshape_lower),
    OpKind("Transpose", "x:T perm:index", _transpose_infer, _transpose_lower),
    OpKind("ExpandDims", "input:T dim:index", _expand_dims_infer, _expand_dims_lower),
    OpKind("Squeeze", "input:T", _squeeze_infer, _squeeze_lower),
    OpKind("BroadcastTo", "input:T shape:index", _broadcast_infer, _broadcast_lower),
    OpKind("ReverseV2", "tensor:T axis:index", _first_like, _reverse_lower),
)  # fmt: skip
