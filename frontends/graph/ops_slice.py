"""Parts of tensors, and tensors padded and repeated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import apply_op, make
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError
from tensorkiln.frontends.graph.statics import static_array, static_integers, static_vector
from tensorkiln.frontends.graph.strides import NEW_AXIS, Range, dims_of
from tensorkiln.frontends.graph.tensor import Tensor


def _strided_infer(op: Operation) -> Sequence[Result]:
    tensor, strides = op.inputs[0], static_integers(op.inputs[3])
    if tensor.sizes is None or strides is None:
        return [(base(tensor), None)]
    unknown: Sequence[int | None] = (None,) * len(strides)
    begin, end = (static_vector(part) or unknown for part in op.inputs[1:3])
    rest = iter(tensor.sizes)
    sizes: list[int | None] = []
    for item in dims_of(op, begin, end, strides, len(tensor.sizes)):
        if item is NEW_AXIS:
            sizes.append(1)
            continue
        length, place = next(rest), item.position
        if not item.shrink:
            exact = place < 0 or (
                (begin[place] is not None or op.integer("begin_mask") >> place & 1)
                and (end[place] is not None or op.integer("end_mask") >> place & 1)
            )
            sizes.append(item.size(length) if exact else None)
        elif item.start is not None and length is not None and not -length <= item.start < length:
            raise ShapeError(f"slice index {item.start} of dimension {place} out of bounds.")
    return [(base(tensor), tuple(sizes))]


def _strided_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    x, strides = values[0], lowering.integers(op, 3, values)
    if lowering.known(values[1]) is None:
        return [_dynamic(lowering, op, values, strides)]
    begin, end = lowering.integers(op, 1, values), lowering.integers(op, 2, values)
    items = dims_of(op, begin, end, strides, len(x.shape))
    ranges = [item for item in items if item is not NEW_AXIS]
    starts, limits, steps, backwards = [], [], [], []
    for axis, (item, length) in enumerate(zip(ranges, x.shape, strict=True)):
        start = item.start
        if item.shrink and start is not None and not -length <= start < length:
            raise InvalidArgumentError(
                op.name, op, f"slice index {start} of dimension {axis} out of bounds.\n"
                f"\t {op.node_text}",
            )  # fmt: skip
        taken = range(*slice(item.start, item.stop, item.step).indices(length))
        if item.step < 0:
            taken = taken[::-1]
            backwards.append(axis)
        low = taken[0] if taken else 0
        starts.append(low)
        limits.append(taken[-1] + 1 if taken else low)
        steps.append(abs(item.step))
    part = shorthand.slice_(lowering.builder, x, starts, limits, steps)
    part = shorthand.reverse(lowering.builder, part, backwards)
    return [_reshaped(lowering, part, items)]


def _reshaped(lowering: Lowering, part: Value, items: Sequence[Range | None]) -> Value:
    rest = iter(part.shape)
    shape: list[int] = []
    for item in items:
        size = 1 if item is NEW_AXIS else next(rest)
        if item is NEW_AXIS or not item.shrink:
            shape.append(size)
    return shorthand.reshape(lowering.builder, part, shape)


def _dynamic(
    lowering: Lowering, op: Operation, values: Sequence[Value], strides: Sequence[int]
) -> Value:
    """Slices at places that only a run knows: single indices, all other dims whole."""
    builder, x = lowering.builder, values[0]
    unknown: list[int | None] = [None] * len(strides)
    items = dims_of(op, unknown, unknown, strides, len(x.shape))
    ranges = [item for item in items if item is not NEW_AXIS]
    places, sizes = [], []
    zero = shorthand.scalar(builder, 0, values[1].dtype)
    for item, length in zip(ranges, x.shape, strict=True):
        masked = item.position < 0 or (
            op.integer("begin_mask") & op.integer("end_mask") >> item.position & 1
        )
        if not item.shrink and not masked:
            lowering.integers(op, 1, values)  # raises: the size is not known
        if not item.shrink:
            places.append(zero)
            sizes.append(length)
            continue
        place = shorthand.slice_axis(builder, values[1], 0, item.position, item.position + 1)
        place = shorthand.reshape(builder, place, ())
        negative = shorthand.compare(builder, "LT", place, zero)
        moved = builder.one("add", (place, shorthand.scalar(builder, length, place.dtype)))
        places.append(shorthand.select(builder, negative, moved, place))
        sizes.append(1)
    return _reshaped(lowering, shorthand.dynamic_slice(builder, x, places, sizes), items)


def strided_slice(
    input_: object, begin: object, end: object, strides: object = None, begin_mask: int = 0,
    end_mask: int = 0, ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """`input_[begin:end:strides]` with TensorFlow's masks."""
    if strides is None:
        strides = np.ones_like(np.asarray(begin))
    masks = {
        "begin_mask": begin_mask, "end_mask": end_mask, "ellipsis_mask": ellipsis_mask,
        "new_axis_mask": new_axis_mask, "shrink_axis_mask": shrink_axis_mask,
    }  # fmt: skip
    return apply_op("StridedSlice", (input_, begin, end, strides), name, masks).outputs[0]


def slice_(input_: object, begin: object, size: object, name: str | None = None) -> Tensor:
    """The box of `size` at `begin`; a size of -1 goes to the end."""
    return make("Slice", (input_, begin, size), name)


def _slice_infer(op: Operation) -> Sequence[Result]:
    tensor, begin, size = op.inputs[0], *(static_integers(part) for part in op.inputs[1:])
    if tensor.sizes is None or size is None:
        return [(base(tensor), None if tensor.sizes is None else (None,) * len(tensor.sizes))]
    sizes: list[int | None] = list(size)
    if len(size) != len(tensor.sizes) or (begin is not None and len(begin) != len(size)):
        raise ShapeError(f"Shape must be rank {len(size)} but is rank {len(tensor.sizes)}")
    for axis, (count, length) in enumerate(zip(size, tensor.sizes, strict=True)):
        start = None if begin is None else begin[axis]
        if count == -1:
            sizes[axis] = None if length is None or start is None else length - start
        elif None not in (start, length) and start + count > length:  # type: ignore[operator]
            raise ShapeError(f"Expected size[{axis}] in [0, {length}], but got {count}")
    return [(base(tensor), tuple(sizes))]


def _slice_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x, count = lowering.builder, values[0], lowering.integers(op, 2, values)
    if lowering.known(values[1]) is None and -1 not in count:
        places = [
            shorthand.reshape(builder, shorthand.slice_axis(builder, values[1], 0, k, k + 1), ())
            for k in range(len(count))
        ]
        return [shorthand.dynamic_slice(builder, x, places, count)]
    start = lowering.integers(op, 1, values)
    for axis, (s, c, length) in enumerate(zip(start, count, x.shape, strict=True)):
        if not 0 <= s <= length:
            raise invalid(op, f"Expected begin[{axis}] in [0, {length}], but got {s}")
        if not -1 <= c <= length - s:
            raise invalid(op, f"Expected size[{axis}] in [0, {length - s}], but got {c}")
    stop = [
        length if c == -1 else s + c for s, c, length in zip(start, count, x.shape, strict=True)
    ]
    return [shorthand.slice_(builder, x, start, stop)]


def pad(
    tensor: object, paddings: object, mode: str = "CONSTANT", name: str | None = None,
    constant_values: object = 0,
) -> Tensor:  # fmt: skip
    """The tensor with rows before and after each dim: CONSTANT, REFLECT or SYMMETRIC."""
    match mode.upper():
        case "CONSTANT" if isinstance(constant_values, int | float) and constant_values == 0:
            return make("Pad", (tensor, paddings), name)
        case "CONSTANT":
            return make("PadV2", (tensor, paddings, constant_values), name)
        case "REFLECT" | "SYMMETRIC":
            return make("MirrorPad", (tensor, paddings), name, mode=mode.upper())
        case _:
            raise ValueError(f"Unknown padding mode: {mode}")


def _pad_infer(op: Operation) -> Sequence[Result]:
    tensor, amounts = op.inputs[0], static_array(op.inputs[1])
    if tensor.sizes is None or amounts is None:
        return [(base(tensor), None if tensor.sizes is None else (None,) * len(tensor.sizes))]
    if amounts.shape != (len(tensor.sizes), 2):
        raise ShapeError(f"paddings must be of shape [{len(tensor.sizes)}, 2]")
    pairs = zip(tensor.sizes, amounts.tolist(), strict=True)
    return [
        (base(tensor), tuple(None if n is None else n + low + high for n, (low, high) in pairs))
    ]


def _pad_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    numbers = lowering.integers(op, 1, values)
    low, high = numbers[::2], numbers[1::2]
    filler: Value | int = values[2] if len(values) > 2 else 0
    return [shorthand.pad(lowering.builder, values[0], low, high, value=filler)]


def _mirror_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x = lowering.builder, values[0]
    numbers = lowering.integers(op, 1, values)
    skip = 1 if op.text("mode") == "REFLECT" else 0
    for axis, (low, high) in enumerate(zip(numbers[::2], numbers[1::2], strict=True)):
        length = x.shape[axis]
        if max(low, high) > length - skip:
            raise InvalidArgumentError(
                op.name, op, f"paddings must be no greater than the dimension size {length - skip}:"
                f" {low}, {high}\n\t {op.node_text}",
            )  # fmt: skip
        before = shorthand.slice_axis(builder, x, axis, skip, skip + low)
        after = shorthand.slice_axis(builder, x, axis, length - skip - high, length - skip)
        before, after = (shorthand.reverse(builder, part, (axis,)) for part in (before, after))
        parts = [part for part, n in ((before, low), (x, 1), (after, high)) if n]
        x = shorthand.concat(builder, parts, axis)
    return [x]


def tile(input: object, multiples: object, name: str | None = None) -> Tensor:
    """The tensor repeated `multiples[k]` times along dim k."""
    return make("Tile", (input, multiples), name)


def _tile_infer(op: Operation) -> Sequence[Result]:
    tensor, times = op.inputs[0], static_integers(op.inputs[1])
    if tensor.sizes is None or times is None:
        return [(base(tensor), None if tensor.sizes is None else (None,) * len(tensor.sizes))]
    if len(times) != len(tensor.sizes):
        raise ShapeError(f"Shape must be rank {len(times)} but is rank {len(tensor.sizes)}")
    pairs = zip(tensor.sizes, times, strict=True)
    return [(base(tensor), tuple(None if n is None else n * m for n, m in pairs))]


def _tile_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, x, times = lowering.builder, values[0], lowering.integers(op, 1, values)
    # [a, b] -> [m, a, n, b] by broadcasting -> [m * a, n * b]
    spread = [size for pair in zip(times, x.shape, strict=True) for size in pair]
    odd = range(1, len(spread), 2)
    repeated = shorthand.broadcast_in_dim(builder, x, spread, odd)
    flat = [m * n for m, n in zip(times, x.shape, strict=True)]
    return [shorthand.reshape(builder, repeated, flat)]


register(
    OpKind("StridedSlice", "input:T begin:index end:index strides:index", _strided_infer,
           _strided_lower),
    OpKind("Slice", "input:T begin:index size:index", _slice_infer, _slice_lower),
    OpKind("Pad", "input:T paddings:index", _pad_infer, _pad_lower),
    OpKind("PadV2", "input:T paddings:index constant_values:T", _pad_infer, _pad_lower),
    OpKind("MirrorPad", "input:T paddings:index", _pad_infer, _mirror_lower),
    OpKind("Tile", "input:T multiples:index", _tile_infer, _tile_lower),
)  # fmt: skip
