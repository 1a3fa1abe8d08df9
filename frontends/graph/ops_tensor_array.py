"""The ops of TensorArray, on flows: tensors whose first dim counts the items.

An array whose items' shape nobody knows yet is (size, 0); its first write makes it what it must be.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import Sizes, as_sizes
from tensorkiln.frontends.graph.statics import static_integer


def _create_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, DType)
    sizes = as_sizes(op.attributes["element_shape"])
    return [(dtype, None if sizes is None else (static_integer(op.inputs[0]), *sizes))]


def _create(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    size = lowering.integer(op, 0, values)
    sizes = as_sizes(op.attributes["element_shape"])
    known = sizes is not None and None not in sizes
    items = tuple(n for n in sizes or () if n is not None) if known else (0,)
    return [shorthand.full(lowering.builder, (size, *items), 0, op.outputs[0].dtype.ir)]


def _sizes(op: Operation) -> Sizes:
    return as_sizes(op.attributes["sizes"])


def _read_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), _sizes(op))]


def _stack_infer(op: Operation) -> Sequence[Result]:
    sizes, count = _sizes(op), op.attributes.get("size")
    if op.type == "TensorArrayGatherV3":
        places = op.inputs[1].sizes
        count = places[0] if places else None
    assert count is None or isinstance(count, int)
    if op.type == "TensorArrayConcatV3":
        if not sizes:
            return [(base(op.inputs[0]), None)]
        whole = None if count is None or sizes[0] is None else count * sizes[0]
        return [(base(op.inputs[0]), (whole, *sizes[1:]))]
    return [(base(op.inputs[0]), None if sizes is None else (count, *sizes))]


def _sized(lowering: Lowering, op: Operation, flow: Value, items: Sequence[int]) -> Value:
    """The flow as an array of items of this shape."""
    wanted = (flow.shape[0], *items)
    if flow.shape == wanted:
        return flow
    if flow.type.rank == 2 and flow.shape[1] == 0:
        return shorthand.full(lowering.builder, wanted, 0, flow.dtype)
    raise InvalidArgumentError(
        op.name, op,
        f"'{op.name}' ({op.location}): an item of shape {list(items)} in a TensorArray of items "
        f"of shape {list(flow.shape[1:])}",
    )  # fmt: skip


def _place(lowering: Lowering, op: Operation, flow: Value, index: Value) -> Value:
    """The index as an i32 scalar; InvalidArgumentError where it is known to be outside."""
    known, size = lowering.known(index), flow.shape[0]
    number = None if known is None else int(known.reshape(()))
    grows = not size and op.flag("dynamic_size") and not lowering.counted
    if grows or (number is not None and not 0 <= number < size):
        what = "an item" if number is None else f"index {number}"
        raise InvalidArgumentError(
            op.name, op,
            f"'{op.name}' ({op.location}): {what} of a TensorArray whose size is {size}; give it "
            "the size it needs, or dynamic_size=True where the array is made",
        )  # fmt: skip
    return shorthand.convert(lowering.builder, shorthand.reshape(lowering.builder, index, ()), I32)


def pad_items(lowering: Lowering, flow: Value, size: int) -> Value:
    """The flow with zeros behind it up to `size` items."""
    missing = size - flow.shape[0]
    if missing <= 0:
        return lowering.identity(flow)
    more = shorthand.full(lowering.builder, (missing, *flow.shape[1:]), 0, flow.dtype)
    return shorthand.concat(lowering.builder, (flow, more), 0)


def _starts(lowering: Lowering, place: Value, rank: int) -> list[Value]:
    return [place, *[shorthand.scalar(lowering.builder, 0, I32)] * (rank - 1)]


def _write(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    flow, index, item = values
    if is_count(flow):
        place = shorthand.convert(builder, shorthand.reshape(builder, index, ()), I32)
        after = builder.one("add", (place, shorthand.scalar(builder, 1, I32)))
        return [builder.one("maximum", (flow, after))]
    if op.flag("dynamic_size") and lowering.watched:
        known = lowering.known(index)
        flow = flow if known is None else pad_items(lowering, flow, int(known.reshape(())) + 1)
    flow = _sized(lowering, op, flow, item.shape)
    starts = _starts(lowering, _place(lowering, op, flow, index), flow.type.rank)
    if not flow.shape[0]:
        return [flow]  # a loop over nothing, which does not run
    row = shorthand.reshape(builder, item, (1, *item.shape))
    return [shorthand.dynamic_update_slice(builder, flow, row, starts)]


def _read(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    flow, index = values
    _check_written(op, flow)
    items = flow.shape[1:]
    starts = _starts(lowering, _place(lowering, op, flow, index), flow.type.rank)
    if not flow.shape[0]:
        return [shorthand.full(builder, items, 0, flow.dtype)]
    row = shorthand.dynamic_slice(builder, flow, starts, (1, *items))
    return [shorthand.reshape(builder, row, items)]


def is_count(flow: Value) -> bool:
    """True where a loop only counts an array's items: the flow is their number."""
    return flow.type.rank == 0


def _check_written(op: Operation, flow: Value) -> None:
    if is_count(flow):
        raise InvalidArgumentError(
            op.name, op,
            f"'{op.name}' ({op.location}): a loop reads from a TensorArray that grows in it; give "
            "the array the size it needs instead of dynamic_size=True",
        )  # fmt: skip
    sizes = _sizes(op)
    if flow.type.rank == 2 and flow.shape[1] == 0 and sizes != (0,):
        raise InvalidArgumentError(
            op.name, op,
            f"'{op.name}' ({op.location}): could not read from the TensorArray, nothing has been "
            "written to it",
        )  # fmt: skip


def _gather(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    flow, indices = values
    _check_written(op, flow)
    return [shorthand.take(lowering.builder, flow, indices)]


def _stack(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    _check_written(op, values[0])
    return [lowering.identity(values[0])]


def _concat(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    (flow,) = values
    _check_written(op, flow)
    if flow.type.rank < 2:
        raise InvalidArgumentError(
            op.name, op, f"'{op.name}' ({op.location}): Concat saw a scalar; use stack instead"
        )
    size, first, *rest = flow.shape
    return [shorthand.reshape(lowering.builder, flow, (size * first, *rest))]


def _unstack(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    flow, rows = values
    if op.flag("dynamic_size") and lowering.watched and rows.type.rank:
        flow = pad_items(lowering, flow, rows.shape[0])
    if rows.type.rank < 1 or rows.shape[0] > flow.shape[0]:
        raise InvalidArgumentError(
            op.name, op,
            f"'{op.name}' ({op.location}): rows of a tensor of shape {list(rows.shape)} for a "
            f"TensorArray whose size is {flow.shape[0]}; give it the size it needs",
        )  # fmt: skip
    if rows.shape[0] == flow.shape[0]:
        return [lowering.identity(rows)]
    flow = _sized(lowering, op, flow, rows.shape[1:])
    starts = _starts(lowering, shorthand.scalar(lowering.builder, 0, I32), flow.type.rank)
    return [shorthand.dynamic_update_slice(lowering.builder, flow, rows, starts)]


def _scatter(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    flow, indices, rows = values
    flow = _sized(lowering, op, flow, rows.shape[1:])
    rank = flow.type.rank
    places = shorthand.reshape(builder, indices, (*indices.shape, 1))
    found = builder.one(
        "scatter", (flow, places, rows), update_window_dims=tuple(range(1, rank)),
        inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,), index_vector_dim=1,
        reducer="set",
    )  # fmt: skip
    return [found]


def _split(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    flow, rows, _ = values
    lengths = lowering.integers(op, 2, values)
    equal = len(set(lengths)) == 1 and len(lengths) == flow.shape[0]
    if not equal or sum(lengths) != rows.shape[0]:
        raise InvalidArgumentError(
            op.name, op,
            f"'{op.name}' ({op.location}): lengths {list(lengths)} for {rows.shape[0]} rows and a "
            f"TensorArray whose size is {flow.shape[0]}: items must have one shape",
        )  # fmt: skip
    return [shorthand.reshape(lowering.builder, rows, (len(lengths), lengths[0], *rows.shape[1:]))]


def _size(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    if is_count(values[0]):
        return [values[0]]
    return [shorthand.scalar(lowering.builder, values[0].shape[0], I32)]


def _flow(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), None)]


register(
    OpKind("TensorArrayV3", "size:int32", _create_infer, _create),
    OpKind("TensorArrayWriteV3", "flow:T index:int32 value:T", _flow, _write),
    OpKind("TensorArrayReadV3", "flow:T index:int32", _read_infer, _read),
    OpKind("TensorArrayGatherV3", "flow:T indices:int32", _stack_infer, _gather),
    OpKind("TensorArrayStack", "flow:T", _stack_infer, _stack),
    OpKind("TensorArrayConcatV3", "flow:T", _stack_infer, _concat),
    OpKind("TensorArrayUnstack", "flow:T value:T", _flow, _unstack),
    OpKind("TensorArrayScatterV3", "flow:T indices:int32 value:T", _flow, _scatter),
    OpKind("TensorArraySplitV3", "flow:T value:T lengths:int32", _flow, _split),
    OpKind("TensorArraySizeV3", "flow:T", lambda op: [(dtypes.int32, ())], _size),
)
