"""Bits: shifts, bitcasts, casts that saturate."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dimension import Size
from tensorkiln.frontends.graph.dtypes import INTEGERS, DType
from tensorkiln.frontends.graph.functions import binary_function, unary_function
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_elementwise import cast, maximum, minimum
from tensorkiln.frontends.graph.rules import base, binary, broadcasted
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.tensor import Tensor


def bitcast(input: object, type: object, name: str | None = None) -> Tensor:
    """The same bytes read as another dtype; a wider one joins the elements of the last dim, a
    narrower one splits each into a new last dim."""
    return make("Bitcast", (input,), name, type=dtypes.as_dtype(type))


def _bitcast_infer(op: Operation) -> Sequence[Result]:
    target, sizes = op.attributes["type"], op.inputs[0].sizes
    assert isinstance(target, DType)
    before, after = base(op.inputs[0]).size, target.size
    if sizes is None or before == after:
        return [(target, sizes)]
    if before > after:
        return [(target, (*sizes, before // after))]
    last: Size = sizes[-1] if sizes else 1
    if not sizes or (last is not None and last != after // before):
        raise ShapeError(
            f"Cannot bitcast from {base(op.inputs[0]).name} to {target.name} with the last "
            f"dimension {last}: it must be {after // before}"
        )
    return [(target, sizes[:-1])]


def _bitcast_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    target = op.outputs[0].dtype
    builder, (x,) = lowering.builder, values
    before, after = base(op.inputs[0]).size, target.size
    if before == after:
        return [builder.one("bitcast_convert", (x,), dtype=target.ir)]
    unsigned = {1: dtypes.uint8, 2: dtypes.uint16, 4: dtypes.uint32, 8: dtypes.uint64}
    narrow, wide = unsigned[min(before, after)].ir, unsigned[max(before, after)].ir
    count, bits = max(before, after) // min(before, after), 8 * min(before, after)
    if before > after:
        whole = builder.one("bitcast_convert", (x,), dtype=wide)
        parts = [
            shorthand.convert(
                builder, _moved(lowering, "shift_right_logical", whole, k * bits), narrow
            )
            for k in range(count)
        ]
        stacked = shorthand.stack(builder, parts, -1)
        return [builder.one("bitcast_convert", (stacked,), dtype=target.ir)]
    pieces = builder.one("bitcast_convert", (x,), dtype=narrow)
    total: Value | None = None
    for k in range(count):
        piece = shorthand.slice_axis(builder, pieces, -1, k, k + 1)
        piece = shorthand.convert(builder, shorthand.squeeze(builder, piece, (-1,)), wide)
        piece = _moved(lowering, "shift_left", piece, k * bits)
        total = piece if total is None else builder.one("or", (total, piece))
    assert total is not None
    return [builder.one("bitcast_convert", (total,), dtype=target.ir)]


def _moved(lowering: Lowering, name: str, x: Value, bits: int) -> Value:
    amount = shorthand.scalar(lowering.builder, bits, x.dtype)
    return shorthand.binary(lowering.builder, name, x, amount) if bits else x


def saturate_cast(value: object, dtype: object, name: str | None = None) -> Tensor:
    """A cast that gives the nearest number that the dtype has."""
    target = dtypes.as_dtype(dtype).base_dtype
    with graph_of([value]).name_scope(name or "saturate_cast") as scope:
        tensor = convert_to_tensor(value, name="value")
        own = base(tensor)
        if own.min < target.min:
            tensor = maximum(tensor, convert_to_tensor(target.min, own), name="min")
        if own.max > target.max:
            tensor = minimum(tensor, convert_to_tensor(target.max, own), name="max")
        return cast(tensor, target, scope)


def _right_shift(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    signed = values[0].dtype.is_signed
    name = "shift_right_arithmetic" if signed else "shift_right_logical"
    return [shorthand.binary(lowering.builder, name, *values)]


register(
    OpKind("Bitcast", "input:T", _bitcast_infer, _bitcast_lower, differentiable=False),
    OpKind("LeftShift", "x:T y:T", broadcasted, binary("shift_left"), {"T": INTEGERS},
           differentiable=False),
    OpKind("RightShift", "x:T y:T", broadcasted, _right_shift, {"T": INTEGERS},
           differentiable=False),
)  # fmt: skip

bitwise_and = binary_function("BitwiseAnd", "The bits that both have.")
bitwise_or = binary_function("BitwiseOr", "The bits that one has.")
bitwise_xor = binary_function("BitwiseXor", "The bits in which they differ.")
invert = unary_function("Invert", "The other bits.")
left_shift = binary_function("LeftShift", "x * 2 ** y, cut off.")
right_shift = binary_function("RightShift", "x / 2 ** y, rounded down.")
