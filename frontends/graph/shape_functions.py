"""Shapes and constants as programs ask for them while they build graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dimension import Dimension
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, like_input
from tensorkiln.frontends.graph.shapes import TensorShape, as_sizes, brackets, compatible, merge
from tensorkiln.frontends.graph.statics import static_array, static_vector
from tensorkiln.frontends.graph.tensor import Tensor


def shape_n(
    input: Sequence[object], out_type: object = dtypes.int32, name: str | None = None
) -> list[Tensor]:
    """The shapes of several tensors."""
    attributes = {"out_type": dtypes.as_dtype(out_type)}
    return apply_op("ShapeN", (list(input),), name, attributes).outputs


def _shape_n_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["out_type"]
    assert isinstance(dtype, dtypes.DType)
    return [(dtype, (None if t.sizes is None else len(t.sizes),)) for t in op.inputs]


def _shape_n_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return [
        lowering.builder.one("constant", value=_vector(value.shape, out.dtype))
        for value, out in zip(values, op.outputs, strict=True)
    ]


def _vector(shape: Sequence[int], dtype: dtypes.DType) -> Array:
    array: Array = np.array(shape, dtype.numpy)
    return array


def identity_n(input: Sequence[object], name: str | None = None) -> list[Tensor]:
    """New tensors equal to those given; all are available when all of those are."""
    return apply_op("IdentityN", (list(input),), name).outputs


def _identity_n_infer(op: Operation) -> Sequence[Result]:
    return [(base(t), t.sizes) for t in op.inputs]


def _identity_n_lower(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[Value]:
    return [lowering.identity(value) for value in values]


def guarantee_const(input: object, name: str | None = None) -> Tensor:
    """`input`; the caller promises that it does not change between runs."""
    return make("GuaranteeConst", (input,), name)


def _same(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return [lowering.identity(values[0])]


def ensure_shape(x: object, shape: object, name: str | None = None) -> Tensor:
    """`x`, whose shape must turn out to be compatible with `shape` when it is run."""
    return make("EnsureShape", (x,), name, shape=as_sizes(shape))


def _ensure_infer(op: Operation) -> Sequence[Result]:
    wanted = as_sizes(op.attributes["shape"])
    return [(base(op.inputs[0]), merge(op.inputs[0].sizes, wanted))]


def _ensure_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    wanted = as_sizes(op.attributes["shape"])
    if not compatible(values[0].shape, wanted):
        raise InvalidArgumentError(
            op.name, op,
            f"Shape of tensor {op.inputs[0].op.name} {brackets(values[0].shape)} is not compatible "
            f"with expected shape {brackets(wanted)}.\n\t {op.node_text}",
        )  # fmt: skip
    return [lowering.identity(values[0])]


def broadcast_dynamic_shape(shape_x: object, shape_y: object) -> Tensor:
    """The shape that broadcasting two shapes gives, as a tensor."""
    return make("BroadcastArgs", (shape_x, shape_y))


def _args_infer(op: Operation) -> Sequence[Result]:
    sizes = [None if t.sizes is None else t.sizes[0] for t in op.inputs]
    known = [size for size in sizes if size is not None]
    return [(base(op.inputs[0]), (max(known) if len(known) == 2 else None,))]


def _args_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    shapes = [lowering.integers(op, k, values) for k in range(2)]
    shape = shorthand.broadcast_shapes(*shapes)
    result = [size for size in shape if isinstance(size, int)]
    return [lowering.builder.one("constant", value=_vector(result, op.outputs[0].dtype))]


def parallel_stack(values: Sequence[object], name: str = "parallel_stack") -> Tensor:
    """Tensors of one shape below one another along a new first dim."""
    with graph_of(values).name_scope(name) as scope:
        parts = [convert_to_tensor(value) for value in values]
        return make("Pack", (parts,), scope, axis=0)


def get_static_value(tensor: object, partial: bool = False) -> Array | None:
    """The value of a tensor if it is known while the graph is built, else None."""
    if not isinstance(tensor, Tensor):
        tensor = convert_to_tensor(tensor)
    found = static_array(tensor)
    if found is not None or not partial:
        return found
    vector = static_vector(tensor)
    return None if vector is None else np.array(vector, object)


def dimension_value(dimension: object) -> int | None:
    """The size that a Dimension (or an integer) stands for, or None."""
    return Dimension(dimension).value


def dimension_at_index(shape: TensorShape, index: int) -> Dimension:
    """The dim at a place of a shape; unknown for a shape of unknown rank."""
    return Dimension(None) if shape.sizes is None else shape[index]


register(
    OpKind("ShapeN", "input:any*", _shape_n_infer, _shape_n_lower, differentiable=False),
    OpKind("IdentityN", "input:any*", _identity_n_infer, _identity_n_lower),
    OpKind("GuaranteeConst", "input:T", like_input, _same),
    OpKind("EnsureShape", "input:T", _ensure_infer, _ensure_lower),
    OpKind("BroadcastArgs", "s0:T s1:T", _args_infer, _args_lower, {"T": dtypes.INDEXES},
           differentiable=False),
)  # fmt: skip
