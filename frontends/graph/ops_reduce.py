"""Reductions: dims folded away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import NUMBERS, DType
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import axis_in, base
from tensorkiln.frontends.graph.statics import static_integer, static_integers
from tensorkiln.frontends.graph.tensor import Tensor


class Reduction(Protocol):
    """A function that folds dims away."""

    def __call__(
        self,
        input_tensor: object,
        axis: object = None,
        keepdims: bool | None = None,
        name: str | None = None,
        reduction_indices: object = None,
        keep_dims: bool | None = None,
    ) -> Tensor:
        """The folded tensor."""
        ...


def _reduction(kind: str, meaning: str) -> Reduction:
    def function(
        input_tensor: object,
        axis: object = None,
        keepdims: bool | None = None,
        name: str | None = None,
        reduction_indices: object = None,
        keep_dims: bool | None = None,
    ) -> Tensor:
        chosen = reduction_indices if axis is None else axis
        keep = bool(keepdims) or bool(keep_dims)
        graph = graph_of([input_tensor])
        with graph.as_default():
            tensor = convert_to_tensor(input_tensor, name="input_tensor")
            axes = _all_axes(tensor) if chosen is None else chosen
            return make(kind, (tensor, axes), name, keep_dims=keep)

    function.__doc__, function.__name__ = f"{meaning} over `axis` (None: all dims).", kind.lower()
    return function


def _all_axes(tensor: Tensor) -> Tensor:
    if tensor.sizes is not None:
        return convert_to_tensor(list(range(len(tensor.sizes))), dtypes.int32)
    return make("Range", (0, make("Rank", (tensor,), out_type=dtypes.int32), 1))


def _reduce_infer(op: Operation) -> Sequence[Result]:
    tensor, axes, keep = op.inputs[0], static_integers(op.inputs[1]), op.flag("keep_dims")
    sizes = tensor.sizes
    if sizes is None or axes is None:
        rank = len(sizes) if keep and sizes is not None else None
        return [(base(tensor), None if rank is None else (None,) * rank)]
    folded = {axis_in(axis, sizes) for axis in axes}
    if keep:
        return [(base(tensor), tuple(1 if k in folded else s for k, s in enumerate(sizes)))]
    return [(base(tensor), tuple(s for k, s in enumerate(sizes) if k not in folded))]


_REDUCERS = {
    "Sum": "add", "Prod": "multiply", "Max": "maximum", "Min": "minimum", "All": "and", "Any": "or",
}  # fmt: skip


def _reduce_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x, keep = lowering.builder, values[0], op.flag("keep_dims")
    axes = sorted({axis % max(len(x.shape), 1) for axis in lowering.integers(op, 1, values)})
    if op.type == "Mean":
        return [_mean(lowering, x, axes, keep)]
    return [shorthand.reduce(builder, x, _REDUCERS[op.type], axes, keep)]


def _mean(lowering: Lowering, x: Value, axes: Sequence[int], keep: bool) -> Value:
    builder = lowering.builder
    if not axes:
        return x
    if x.dtype.is_float:
        return shorthand.reduce_mean(builder, x, axes, keep)
    total = shorthand.reduce_sum(builder, x, axes, keep)
    count = shorthand.count(builder, [x.shape[axis] for axis in axes], x.dtype)
    return shorthand.binary(builder, "divide", total, count)


def reduce_logsumexp(
    input_tensor: object, axis: object = None, keepdims: bool | None = None,
    name: str | None = None, reduction_indices: object = None, keep_dims: bool | None = None,
) -> Tensor:  # fmt: skip
    """log(sum(exp(x))) over `axis`, without overflow."""
    chosen = reduction_indices if axis is None else axis
    keep = bool(keepdims) or bool(keep_dims)
    with graph_of([input_tensor]).name_scope(name or "ReduceLogSumExp"):
        tensor = convert_to_tensor(input_tensor)
        top = make("StopGradient", (reduce_max(tensor, chosen, True),))
        total = make("Log", (reduce_sum(make("Exp", (tensor - top,)), chosen, keep),))
        flat = top if keep else reduce_sum(top, chosen)
        return total + flat


def argmax(
    input: object, axis: object = None, name: str | None = None, dimension: object = None,
    output_type: object = dtypes.int64,
) -> Tensor:  # fmt: skip
    """The index of the first of the largest elements along `axis` (0 unless given)."""
    return _arg("ArgMax", input, axis, dimension, output_type, name)


def argmin(
    input: object, axis: object = None, name: str | None = None, dimension: object = None,
    output_type: object = dtypes.int64,
) -> Tensor:  # fmt: skip
    """The index of the first of the smallest elements along `axis` (0 unless given)."""
    return _arg("ArgMin", input, axis, dimension, output_type, name)


def _arg(
    kind: str, value: object, axis: object, dimension: object, output: object, name: str | None
) -> Tensor:
    place = dimension if axis is None else axis
    target = dtypes.as_dtype(output)
    return make(kind, (value, 0 if place is None else place), name, output_type=target)


def _arg_infer(op: Operation) -> Sequence[Result]:
    dtype, sizes, axis = (
        op.attributes["output_type"],
        op.inputs[0].sizes,
        static_integer(op.inputs[1]),
    )
    assert isinstance(dtype, DType)
    if sizes is None or axis is None:
        return [(dtype, None)]
    place = axis_in(axis, sizes)
    return [(dtype, (*sizes[:place], *sizes[place + 1 :]))]


def _arg_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    axis, dtype = lowering.integer(op, 1, values), op.outputs[0].dtype.ir
    x = values[0]
    if x.dtype.kind == "bool":
        x = shorthand.convert(lowering.builder, x, I64)
    kind = "max" if op.type == "ArgMax" else "min"
    return [shorthand.arg_reduce(lowering.builder, x, kind, axis, dtype)[1]]


_NUMBER = {"T": NUMBERS}
register(
    *(
        OpKind(name, "input:T reduction_indices:index", _reduce_infer, _reduce_lower, _NUMBER)
        for name in ("Sum", "Mean", "Prod", "Max", "Min")
    ),
    *(
        OpKind(
            name, "input:bool reduction_indices:index", _reduce_infer, _reduce_lower,
            differentiable=False,
        )
        for name in ("All", "Any")
    ),
    *(
        OpKind(name, "input:T dimension:index", _arg_infer, _arg_lower, differentiable=False)
        for name in ("ArgMax", "ArgMin")
    ),
)  # fmt: skip

reduce_sum = _reduction("Sum", "The sum")
reduce_mean = _reduction("Mean", "The mean")
reduce_prod = _reduction("Prod", "The product")
reduce_max = _reduction("Max", "The largest element")
reduce_min = _reduction("Min", "The smallest element")
reduce_all = _reduction("All", "Whether all elements are true")
reduce_any = _reduction("Any", "Whether any element is true")
