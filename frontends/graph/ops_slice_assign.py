"""Assignment to a part of a variable: `variable[...].assign(value)`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_scatter import scattered
from tensorkiln.frontends.graph.ops_state import variable_op
from tensorkiln.frontends.graph.shapes import show
from tensorkiln.frontends.graph.strides import NEW_AXIS, dims_of
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import UnsupportedError

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


class VariableSlice(Tensor):
    """A part of a variable that indexing has taken, and that can be set."""

    __slots__ = ()

    def assign(self, value: object, name: str | None = None) -> Tensor:
        """Sets that part of the variable; the result is the variable's tensor after that."""
        variable = self.op.inputs[0].op.inputs[0]
        masks = {mask: self.op.attributes[mask] for mask in _MASKS}
        label = name or f"{self.op.name.rpartition('/')[2]}/_assign"
        return make("StridedSliceAssign", (variable, *self.op.inputs[1:], value), label, **masks)


def settable(part: Tensor) -> Tensor:
    """The same tensor, which was made by indexing a variable, as a VariableSlice."""
    part.__class__ = VariableSlice
    return part


def _infer(op: Operation) -> Sequence[Result]:
    return [(op.inputs[0].dtype, op.inputs[0].sizes)]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    variable = variable_op(op)
    x, value = lowering.read(variable), values[-1]
    if lowering.known(values[0]) is None:
        changed = _at_unknown_place(lowering, op, x, values)
    else:
        begin, end, strides = (lowering.integers(op, k, (x, *values)) for k in (1, 2, 3))
        items = dims_of(op, begin, end, strides, len(x.shape))
        key = tuple(
            None if item is NEW_AXIS
            else item.start if item.shrink
            else slice(item.start, item.stop, item.step)
            for item in items
        )  # fmt: skip
        positions = np.arange(x.type.elements).reshape(x.shape)[key]
        flat = shorthand.reshape(lowering.builder, x, (x.type.elements,))
        places = lowering.builder.one("constant", value=positions.reshape(-1, 1).astype(np.int64))
        spread = _spread(lowering, op, value, positions.shape, (positions.size,))
        flat = scattered(lowering.builder, flat, places, spread, "set", 1)
        changed = shorthand.reshape(lowering.builder, flat, x.shape)
    lowering.write(variable, changed)
    return []


def _spread(
    lowering: Lowering, op: Operation, value: Value, shape: Sequence[int], box: Sequence[int]
) -> Value:
    """The value broadcast to the shape of the part, then as a box of the variable."""
    try:
        np.broadcast_shapes(value.shape, tuple(shape))
        fits = len(value.shape) <= len(shape)
    except ValueError:
        fits = False
    if not fits:
        raise UnsupportedError(
            f"'{op.name}' ({op.location}) assigns a value of shape {show(value.shape)} to a part "
            f"of shape {show(tuple(shape))}"
        )
    first = len(shape) - len(value.shape)
    builder = lowering.builder
    squeezed = [k for k, size in enumerate(value.shape) if size == shape[first + k]]
    kept = shorthand.reshape(builder, value, [value.shape[k] for k in squeezed])
    whole = shorthand.broadcast_in_dim(builder, kept, tuple(shape), [first + k for k in squeezed])
    return shorthand.reshape(builder, whole, tuple(box))


def _at_unknown_place(
    lowering: Lowering, op: Operation, x: Value, values: Sequence[Value]
) -> Value:
    """Sets at single indices that only a run knows; all other dims are taken whole."""
    builder, begin = lowering.builder, values[0]
    strides = lowering.integers(op, 3, (x, *values))
    unknown: list[int | None] = [None] * begin.shape[0]
    items = dims_of(op, unknown, unknown, strides, len(x.shape))
    places, box, shape = [], [], []
    zero = shorthand.scalar(builder, 0, begin.dtype)
    lengths = iter(x.shape)
    for item in items:
        if item is NEW_AXIS:
            shape.append(1)
            continue
        length = next(lengths)
        masked = item.position < 0 or (
            op.integer("begin_mask") & op.integer("end_mask") >> item.position & 1
        )
        if not item.shrink:
            if not masked:
                lowering.integers(op, 1, (x, *values))  # raises: the size is not known
            places.append(zero)
            box.append(length)
            shape.append(length)
            continue
        place = shorthand.slice_axis(builder, begin, 0, item.position, item.position + 1)
        place = shorthand.reshape(builder, place, ())
        negative = shorthand.compare(builder, "LT", place, zero)
        moved = builder.one("add", (place, shorthand.scalar(builder, length, place.dtype)))
        places.append(shorthand.select(builder, negative, moved, place))
        box.append(1)
    update = _spread(lowering, op, values[-1], shape, box)
    return shorthand.dynamic_update_slice(builder, x, update, places)


register(
    OpKind("StridedSliceAssign", "ref:&T begin:index end:index strides:index value:T", _infer,
           _lower, writes=True),
)  # fmt: skip
