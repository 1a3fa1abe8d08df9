"""Elements and slices changed at indices, in new tensors and in variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.dtypes import NUMBERS
from tensorkiln.frontends.graph.index_checks import check_indices, check_tuples, invalid
from tensorkiln.frontends.graph.kinds import Lower, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_state import variable_op
from tensorkiln.frontends.graph.rules import base, like_input
from tensorkiln.frontends.graph.shapes import ShapeError, Sizes, brackets, compatible
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor


def scattered(
    builder: Builder, x: Value, indices: Value, updates: Value, reducer: str, depth: int | None
) -> Value:
    """`x` with updates combined into the slices at index tuples of `depth` along the last dim of
    the indices; None: each index is one row's."""
    lead = len(indices.shape) - (depth is not None)
    picked = tuple(range(1 if depth is None else depth))
    return builder.one(
        "scatter",
        (x, indices, updates),
        update_window_dims=tuple(range(lead, len(updates.shape))),
        inserted_window_dims=picked,
        scatter_dims_to_operand_dims=picked,
        index_vector_dim=lead,
        reducer=reducer,
    )


def _combined(
    builder: Builder, kind: str, x: Value, indices: Value, updates: Value, depth: int | None
) -> Value:
    """`x` changed by updates as `kind` says: Update Add Sub Mul Div Min or Max."""
    match kind:
        case "Sub":
            negative = builder.one("negate", (updates,))
            return scattered(builder, x, indices, negative, "add", depth)
        case "Div":
            ones = shorthand.full_like(builder, x, 1)
            divisor = scattered(builder, ones, indices, updates, "multiply", depth)
            return builder.one("divide", (x, divisor))
        case _:
            return scattered(builder, x, indices, updates, _REDUCERS[kind], depth)


_REDUCERS = {"Update": "set", "Add": "add", "Mul": "multiply", "Min": "minimum", "Max": "maximum"}


# Into new tensors


def scatter_nd(indices: object, updates: object, shape: object, name: str | None = None) -> Tensor:
    """Zeros of `shape` with the updates added at index tuples; equal tuples add up."""
    return make("ScatterNd", (indices, updates, shape), name)


def _nd_infer(op: Operation) -> Sequence[Result]:
    indices, updates = op.inputs[:2]
    sizes = static_shape(op.inputs[2])
    _check_static(indices.sizes, updates.sizes, sizes, "output")
    return [(base(updates), sizes)]


def _check_static(indices: Sizes, updates: Sizes, sizes: Sizes, what: str) -> None:
    """The updates' dims are those of the index tuples and of the slices, as far as is known."""
    if indices is None or updates is None or not indices:
        return
    lead = len(indices) - 1
    if not compatible(indices[:-1], updates[:lead]):
        raise ShapeError(
            f"Dimensions [0,{lead}) of indices[shape={brackets(indices)}] = "
            f"{brackets(indices[:-1])} must match dimensions [0,{lead}) of "
            f"updates[shape={brackets(updates)}] = {brackets(updates[:lead])}"
        )
    depth = indices[-1]
    if sizes is not None and depth is not None and not compatible(sizes[depth:], updates[lead:]):
        raise ShapeError(
            f"Dimensions [{depth},{len(sizes)}) of {what}[shape={brackets(sizes)}] = "
            f"{brackets(sizes[depth:])} must match dimensions [{lead},{len(updates)}) of "
            f"updates[shape={brackets(updates)}] = {brackets(updates[lead:])}"
        )


def _checked(
    lowering: Lowering, op: Operation, x: Value, indices: Value, updates: Value
) -> Value | None:
    """`x` itself where there is nothing to change; InvalidArgumentError where shapes differ."""
    depth = indices.shape[-1]
    if depth > len(x.shape) or updates.shape != (*indices.shape[:-1], *x.shape[depth:]):
        raise invalid(
            op, f"Must have updates.shape = indices.shape[:batch_dim] + buffer_shape[num_index_dims"
            f":], got updates.shape: {list(updates.shape)}, indices.shape: {list(indices.shape)}, "
            f"num_indices: {depth}, and buffer shape: {list(x.shape)}",
        )  # fmt: skip
    check_tuples(lowering, op, indices, x.shape)
    return x if 0 in updates.shape or 0 in x.shape else None


def _nd_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    indices, updates, _ = values
    shape = lowering.integers(op, 2, values)
    zeros = shorthand.full(lowering.builder, shape, 0, updates.dtype)
    same = _checked(lowering, op, zeros, indices, updates)
    if same is not None:
        return [same]
    depth = indices.shape[-1]
    return [scattered(lowering.builder, zeros, indices, updates, "add", depth)]


class TensorScatter(Protocol):
    """A function that changes a copy of a tensor at index tuples."""

    def __call__(
        self, tensor: object, indices: object, updates: object, name: str | None = None
    ) -> Tensor:
        """The changed tensor."""
        ...


def _tensor_scatter(kind: str, meaning: str) -> TensorScatter:
    def function(
        tensor: object, indices: object, updates: object, name: str | None = None
    ) -> Tensor:
        return make(f"TensorScatter{kind}", (tensor, indices, updates), name)

    function.__doc__ = f"The tensor with the slices at index tuples {meaning}."
    function.__name__ = f"tensor_scatter_{kind.lower()}"
    return function


def _tensor_infer(op: Operation) -> Sequence[Result]:
    tensor, indices, updates = op.inputs
    _check_static(indices.sizes, updates.sizes, tensor.sizes, "tensor")
    return like_input(op)


def _tensor_lower(kind: str) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        x, indices, updates = values
        same = _checked(lowering, op, x, indices, updates)
        if same is not None:
            return [same]
        depth = indices.shape[-1]
        return [_combined(lowering.builder, kind, x, indices, updates, depth)]

    return lower


# Into variables


class VariableScatter(Protocol):
    """A function that changes a variable at indices."""

    def __call__(
        self, ref: object, indices: object, updates: object, use_locking: bool = ...,
        name: str | None = None,
    ) -> Tensor:  # fmt: skip
        """The variable's tensor after that."""
        ...


def _variable_scatter(kind: str, meaning: str) -> VariableScatter:
    def function(
        ref: object, indices: object, updates: object, use_locking: bool = False,
        name: str | None = None,
    ) -> Tensor:  # fmt: skip
        return make(f"Scatter{kind}", (ref, indices, updates), name)

    function.__doc__ = f"{meaning}; the result is the variable's tensor after that."
    function.__name__ = f"scatter_{kind.lower()}"
    return function


def _rows_infer(op: Operation) -> Sequence[Result]:
    ref, indices, updates = op.inputs
    known = None not in (ref.sizes, indices.sizes, updates.sizes)
    if known and updates.sizes:
        wanted = (*(indices.sizes or ()), *(ref.sizes or ())[1:])
        if not compatible(updates.sizes, wanted):
            raise ShapeError(
                "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], "
                f"got updates.shape {brackets(updates.sizes)}, indices.shape "
                f"{brackets(indices.sizes)}, params.shape {brackets(ref.sizes)}"
            )
    return [(ref.dtype, ref.sizes)]


def _rows_lower(kind: str) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        builder, variable, (indices, updates) = lowering.builder, variable_op(op), values
        x = lowering.read(variable)
        shape = (*indices.shape, *x.shape[1:])
        if updates.shape not in ((), shape) or not x.shape:
            raise invalid(
                op, "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = "
                f"[], got updates.shape {list(updates.shape)}, indices.shape "
                f"{list(indices.shape)}, params.shape {list(x.shape)}",
            )  # fmt: skip
        check_indices(lowering, op, indices, x.shape[0])
        if 0 in shape:
            lowering.write(variable, x)
            return []
        updates = shorthand.broadcast_to(builder, updates, shape)
        lowering.write(variable, _combined(builder, kind, x, indices, updates, None))
        return []

    return lower


def _nd_variable_infer(op: Operation) -> Sequence[Result]:
    ref, indices, updates = op.inputs
    _check_static(indices.sizes, updates.sizes, ref.sizes, "input")
    return [(ref.dtype, ref.sizes)]


def _nd_variable_lower(kind: str) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        variable, (indices, updates) = variable_op(op), values
        x = lowering.read(variable)
        new = _checked(lowering, op, x, indices, updates)
        if new is None:
            depth = indices.shape[-1]
            new = _combined(lowering.builder, kind, x, indices, updates, depth)
        lowering.write(variable, new)
        return []

    return lower


_NUMBER = {"T": NUMBERS}


def _in_variable(name: str, infer: Callable[[Operation], Sequence[Result]], lower: Lower) -> OpKind:
    types = {} if name.endswith("Update") else _NUMBER
    return OpKind(name, "ref:&T indices:index updates:T", infer, lower, types, writes=True)


register(
    OpKind("ScatterNd", "indices:I updates:T shape:I", _nd_infer, _nd_lower),
    *(
        OpKind(f"TensorScatter{kind}", "tensor:T indices:index updates:T", _tensor_infer,
               _tensor_lower(kind))
        for kind in ("Update", "Add", "Sub", "Min", "Max")
    ),
    *(
        _in_variable(f"Scatter{kind}", _rows_infer, _rows_lower(kind))
        for kind in ("Update", "Add", "Sub", "Mul", "Div", "Min", "Max")
    ),
    *(
        _in_variable(f"ScatterNd{kind}", _nd_variable_infer, _nd_variable_lower(kind))
        for kind in ("Update", "Add", "Sub")
    ),
)  # fmt: skip

tensor_scatter_update = _tensor_scatter("Update", "replaced; the last of equal tuples wins")
tensor_scatter_add = _tensor_scatter("Add", "and the updates added")
tensor_scatter_sub = _tensor_scatter("Sub", "and the updates subtracted")
tensor_scatter_min = _tensor_scatter("Min", "and the updates: the smaller of both")
tensor_scatter_max = _tensor_scatter("Max", "and the updates: the larger of both")
scatter_update = _variable_scatter("Update", "Replaces rows of a variable")
scatter_add = _variable_scatter("Add", "Adds to rows of a variable")
scatter_sub = _variable_scatter("Sub", "Subtracts from rows of a variable")
scatter_mul = _variable_scatter("Mul", "Multiplies rows of a variable")
scatter_div = _variable_scatter("Div", "Divides rows of a variable")
scatter_min = _variable_scatter("Min", "Lowers rows of a variable to the updates")
scatter_max = _variable_scatter("Max", "Raises rows of a variable to the updates")
scatter_nd_update = _variable_scatter("NdUpdate", "Replaces slices of a variable at index tuples")
scatter_nd_add = _variable_scatter("NdAdd", "Adds to slices of a variable at index tuples")
scatter_nd_sub = _variable_scatter("NdSub", "Subtracts from slices of a variable at index tuples")
