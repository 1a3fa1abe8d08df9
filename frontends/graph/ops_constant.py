"""Constants, placeholders, identities, and tensors made from shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.arrays import Array, fill_shape, make_array
from tensorkiln.frontends.graph.convert import (
    Convertible,
    constant_tensor,
    contains_tensor,
    convert_to_tensor,
)  # fmt: skip
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.kinds import TABLE, Lower, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, like_input
from tensorkiln.frontends.graph.shapes import Sizes, as_sizes, compatible, show
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.statics import static_array, static_integer, static_shape
from tensorkiln.frontends.graph.tensor import Tensor

# Larger constants of equal elements are Fill ops, as TensorFlow makes them.
_LARGEST_CONSTANT = 1000


def constant(
    value: object,
    dtype: object = None,
    shape: object = None,
    name: str = "Const",
    verify_shape: bool = False,
) -> Tensor:
    """A constant; `shape` is filled with the last value, unless `verify_shape` forbids that."""
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(value, Convertible) or contains_tensor(value):
        raise TypeError("List of Tensors when single Tensor expected")
    array = fill_shape(make_array(value, wanted), as_sizes(shape), verify_shape)
    return constant_tensor(array, name)


def _const_infer(op: Operation) -> Sequence[Result]:
    dtype, array = op.attributes["dtype"], op.attributes["value"]
    assert isinstance(dtype, DType)
    assert isinstance(array, np.ndarray)
    return [(dtype, array.shape)]


def _const_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    array = op.attributes["value"]
    assert isinstance(array, np.ndarray)
    _ = op.outputs[0].dtype.ir  # UnsupportedError for strings and complex numbers
    # Not Builder.constant: that one shares scalars, and each tensor has its own gradient.
    return [lowering.builder.one("constant", value=array)]


def _const_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    return [op.attributes["value"]]


def _same_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    return arrays


def placeholder(dtype: object, shape: object = None, name: str | None = None) -> Tensor:
    """A tensor that every run that needs it must feed; dims may be None."""
    try:
        kind = dtypes.as_dtype(dtype)
    except TypeError:
        raise TypeError(f"Expected DataType for argument 'dtype' not {dtype!r}.") from None
    return make("Placeholder", (), name, dtype=kind, shape=as_sizes(shape))


def placeholder_with_default(input: object, shape: object, name: str | None = None) -> Tensor:
    """A tensor that runs may feed; without a feed it is `input`."""
    return make("PlaceholderWithDefault", (input,), name, shape=as_sizes(shape))


def _placeholder_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, DType)
    return [(dtype, as_sizes(op.attributes["shape"]))]


def _placeholder_lower(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[Value]:
    raise _unfed(op)


def _placeholder_host(
    context: HostContext, op: Operation, arrays: Sequence[Array]
) -> Sequence[object]:
    raise _unfed(op)


def _unfed(op: Operation) -> InvalidArgumentError:
    tensor = op.outputs[0]
    known = tensor.sizes is not None and tensor.sizes != ()
    shape = f" and shape {_feed_shape(tensor.sizes)}" if known else ""
    return InvalidArgumentError(
        op.name, op,
        f"You must feed a value for placeholder tensor '{op.name}' with dtype "
        f"{_FEED_NAMES.get(tensor.dtype.name, tensor.dtype.name)}{shape}\n"
        f"\t {op.node_text}",
    )  # fmt: skip


_FEED_NAMES = {"float32": "float", "float64": "double", "float16": "half"}


def _feed_shape(sizes: Sizes) -> str:
    return "[" + ",".join("?" if size is None else str(size) for size in sizes or ()) + "]"


def _default_infer(op: Operation) -> Sequence[Result]:
    sizes = as_sizes(op.attributes["shape"])
    if not compatible(sizes, op.inputs[0].sizes):
        raise ValueError(
            f"the default of shape {show(op.inputs[0].sizes)} does not fit shape {show(sizes)}"
        )
    return [(base(op.inputs[0]), sizes)]


def _same(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return [lowering.identity(values[0])]


def _stop(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return [lowering.builder.one("stop_gradient", values)]


def identity(input: object, name: str | None = None) -> Tensor:
    """A new tensor equal to `input`; of a variable, its value at this place."""
    return make("Identity", (input,), name)


def stop_gradient(input: object, name: str | None = None) -> Tensor:
    """`input`, seen as a constant by `gradients`."""
    return make("StopGradient", (input,), name)


def zeros(shape: object, dtype: object = dtypes.float32, name: str | None = None) -> Tensor:
    """Zeros."""
    kind = dtypes.as_dtype(dtype).base_dtype
    return _filled(shape, False if kind.is_bool else 0, kind, name or "zeros")


def ones(shape: object, dtype: object = dtypes.float32, name: str | None = None) -> Tensor:
    """Ones."""
    kind = dtypes.as_dtype(dtype).base_dtype
    return _filled(shape, True if kind.is_bool else 1, kind, name or "ones")


def _filled(shape: object, value: int, dtype: DType, name: str) -> Tensor:
    with graph_of([shape]).name_scope(name) as scope:
        scalar = make_array("" if dtype is dtypes.string else value, dtype)
        if not isinstance(shape, Convertible) and not contains_tensor(shape):
            sizes = as_sizes(shape)
            if sizes is not None and None not in sizes:
                known = tuple(size for size in sizes if size is not None)
                if np.prod(known, dtype=np.int64) < _LARGEST_CONSTANT:
                    return constant_tensor(np.full(known, scalar), scope)
        dims = convert_to_tensor(shape, preferred_dtype=dtypes.int32, name="shape_as_tensor")
        return make("Fill", (dims, constant_tensor(scalar, "Const")), scope)


def fill(dims: object, value: object, name: str | None = None) -> Tensor:
    """A tensor of shape `dims` whose elements are all `value`."""
    return make("Fill", (dims, value), name)


def _fill_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[1]), static_shape(op.inputs[0]))]


def _fill_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    shape = lowering.integers(op, 0, values)
    return [shorthand.broadcast_in_dim(lowering.builder, values[1], shape, ())]


def _fill_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    shape = tuple(int(size) for size in arrays[0].reshape(-1))
    return [np.full(shape, arrays[1].reshape(()).item(), object)]


def _empty_texts(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    return [np.full(arrays[0].shape, b"", object)]


def zeros_like(
    tensor: object, dtype: object = None, name: str | None = None, optimize: bool = True
) -> Tensor:
    """Zeros of the tensor's shape, of its dtype unless another is given."""
    return _like("ZerosLike", tensor, dtype, name or "zeros_like")


def ones_like(
    tensor: object, dtype: object = None, name: str | None = None, optimize: bool = True
) -> Tensor:
    """Ones of the tensor's shape, of its dtype unless another is given."""
    return _like("OnesLike", tensor, dtype, name or "ones_like")


def _like(kind: str, value: object, dtype: object, name: str) -> Tensor:
    with graph_of([value]).name_scope(name) as scope:
        tensor = convert_to_tensor(value, name="tensor")
        wanted = base(tensor) if dtype is None else dtypes.as_dtype(dtype).base_dtype
        return make(kind, (tensor,), scope, dtype=wanted)


def _like_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, DType)
    return [(dtype, op.inputs[0].sizes)]


def _like_lower(number: int) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        shape, dtype = values[0].type.shape, op.outputs[0].dtype.ir
        return [shorthand.full(lowering.builder, shape, number, dtype)]

    return lower


def range_(*arguments: object, **options: object) -> Tensor:
    """`range(limit)`, `range(start, limit)` or `range(start, limit, delta)`, limit excluded."""
    names = ("start", "limit", "delta")
    given: dict[str, object] = dict(zip(names, arguments, strict=False))
    dtype, name = options.pop("dtype", None), options.pop("name", None)
    given |= {key: options[key] for key in names if key in options}
    if given.get("limit") is None:
        given = {**given, "start": 0, "limit": given.get("start")}
    bounds = [given.get("start", 0), given["limit"], given.get("delta", 1)]
    with graph_of(bounds).name_scope(str(name or "range")) as scope:
        hint = None if dtype is None else dtypes.as_dtype(dtype)
        tensors = [
            convert_to_tensor(value, hint if not isinstance(value, Convertible) else None, label)
            for value, label in zip(bounds, names, strict=True)
        ]
        order = (dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64)
        kind = hint or max((base(t) for t in tensors), key=order.index)
        parts = [t if base(t) is kind else make("Cast", (t,), "Cast", DstT=kind) for t in tensors]
        return make("Range", parts, scope)


def _range_infer(op: Operation) -> Sequence[Result]:
    bounds = [static_array(tensor) for tensor in op.inputs]
    size = None
    if all(bound is not None for bound in bounds):
        size = _range_array([bound for bound in bounds if bound is not None]).size
    return [(base(op.inputs[0]), (size,))]


def _range_array(bounds: Sequence[Array]) -> Array:
    start, limit, delta = (bound.reshape(()).item() for bound in bounds)
    if delta == 0:
        raise ValueError("Requires delta != 0: 0")
    if start != limit and (start < limit) != (delta > 0):
        order, sign = ("<=", ">") if delta > 0 else (">=", "<")
        raise ValueError(f"Requires start {order} limit when delta {sign} 0: {start}/{limit}")
    if isinstance(delta, float):
        count = max(0, int(np.ceil((limit - start) / delta)))
        return np.asarray(start + np.arange(count) * delta).astype(bounds[0].dtype)
    return np.asarray(np.arange(start, limit, delta)).astype(bounds[0].dtype)


def _range_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    bounds = [lowering.known(value) for value in values]
    known = [bound for bound in bounds if bound is not None]
    if len(known) < len(bounds):
        lowering.integers(op, next(k for k, b in enumerate(bounds) if b is None), values)
    return [lowering.builder.one("constant", value=_range_array(known))]


def linspace(start: object, stop: object, num: object, name: str | None = None) -> Tensor:
    """`num` values from `start` to `stop`, evenly spaced; floats only."""
    return make("LinSpace", (start, stop, num), name)


def _linspace_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), (static_integer(op.inputs[2]),))]


def _linspace_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    count, builder = lowering.integer(op, 2, values), lowering.builder
    start, stop = values[0], values[1]
    steps = shorthand.iota(builder, (count,), 0, start.dtype)
    span = builder.one("subtract", (stop, start))
    divisor = shorthand.scalar(builder, max(count - 1, 1), start.dtype)
    step = builder.one("divide", (span, divisor))
    moved = shorthand.binary(builder, "multiply", steps, step)
    return [shorthand.binary(builder, "add", moved, start)]


def no_op(name: str | None = None) -> Operation:
    """An operation that does nothing; it may have control inputs."""
    return get_default_graph().create_op(TABLE["NoOp"], (), {}, name or "NoOp")


def _nothing(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return []


register(
    OpKind("Const", "", _const_infer, _const_lower, host=_const_host),
    OpKind("Placeholder", "", _placeholder_infer, _placeholder_lower, host=_placeholder_host),
    OpKind("PlaceholderWithDefault", "input:T", _default_infer, _same, host=_same_host),
    OpKind("Identity", "input:T", like_input, _same, host=_same_host),
    OpKind("StopGradient", "input:T", like_input, _stop, differentiable=False),
    OpKind("PreventGradient", "input:T", like_input, _stop, differentiable=False),
    OpKind("Fill", "dims:index value:T", _fill_infer, _fill_lower, host=_fill_host),
    OpKind("ZerosLike", "x:T", _like_infer, _like_lower(0), differentiable=False,
           host=_empty_texts),
    OpKind("OnesLike", "x:T", _like_infer, _like_lower(1), differentiable=False),
    OpKind("Range", "start:T limit:T delta:T", _range_infer, _range_lower, differentiable=False),
    OpKind("LinSpace", "start:T stop:T num:index", _linspace_infer, _linspace_lower,
           types={"T": dtypes.FLOATS}),
    OpKind("NoOp", "", lambda op: [], _nothing),
)  # fmt: skip
