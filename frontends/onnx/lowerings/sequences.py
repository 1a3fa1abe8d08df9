"""Sequences and optionals: lists that exist while importing, of tensors that a run makes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.shorthand import axis_of, concat, expand_dims, slice_axis, squeeze
from tensorkiln.frontends.onnx.elements import dtype_of_element, type_string
from tensorkiln.frontends.onnx.inputs import MAXIMUM_ITEMS
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Items, Maybe, Operand
from tensorkiln.frontends.onnx.table import Lowering
from tensorkiln.runtime.errors import ModelError


def _name(node: Node) -> str:
    return str(node.proto.output[0]) if node.proto.output else ""


def _construct(node: Node) -> Items:
    items = [node.operand(k) for k in range(len(node.operands))]
    return Items(_name(node), items, items[0].dtype)


def _empty(node: Node) -> Items:
    return Items(_name(node), (), node.dtype("dtype", F32))


def _position(node: Node, index: int, last: int) -> int:
    """An input that counts from the end where it is negative, in [0, last]."""
    given = node.known_ints(index)
    if len(given) != 1:
        raise node.invalid(f"its position has {len(given)} elements, not one")
    count = len(node.items(0).items)
    place = given[0] + count if given[0] < 0 else given[0]
    if not 0 <= place <= last:
        raise node.invalid(f"position {given[0]} does not exist in a sequence of {count}")
    return place


def _insert(node: Node) -> Items:
    sequence, tensor = node.items(0), node.operand(1)
    if tensor.dtype != sequence.dtype:
        raise node.invalid(f"a tensor of {tensor.dtype} does not go into {sequence.kind}")
    items = list(sequence.items)
    place = _position(node, 2, len(items)) if node.has(2) else len(items)
    return Items(_name(node), [*items[:place], tensor, *items[place:]], sequence.dtype)


def _erase(node: Node) -> Items:
    items = list(node.items(0).items)
    if not items:
        raise node.invalid("its sequence is empty")
    del items[_position(node, 1, len(items) - 1) if node.has(1) else -1]
    return Items(_name(node), items, node.items(0).dtype)


def _at(node: Node) -> Operand:
    items = node.items(0).items
    return items[_position(node, 1, len(items) - 1)]


def _length(node: Node) -> Array:
    return np.array(len(node.items(0).items), np.int64)


def _limited(node: Node, count: int) -> int:
    if count > MAXIMUM_ITEMS:
        raise node.unsupported(f"it makes {count} tensors, more than {MAXIMUM_ITEMS}")
    return count


def _split(node: Node) -> Items:
    """Parts of given sizes, or of one size, of which the last one may be smaller."""
    builder, x = node.builder, node.value()
    axis = axis_of(node.integer("axis"), x.type.rank)
    size = x.shape[axis]
    if not node.has(1):
        sizes: Sequence[int] = (1,) * _limited(node, size)
    elif node.operand(1).shape:
        sizes = node.known_ints(1)
    else:
        (each,) = node.known_ints(1)
        if each < 1:
            raise node.invalid(f"it splits into parts of {each}")
        _limited(node, -(-size // each))
        sizes = [min(each, size - start) for start in range(0, size, each)]
    if sum(sizes) != size or any(part < 0 for part in sizes):
        raise node.invalid(f"parts {list(sizes)} do not add up to the {size} of {x.type}")
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    parts = [
        slice_axis(builder, x, axis, end - part, end) for part, end in zip(sizes, ends, strict=True)
    ]
    if not node.has(1) and not node.integer("keepdims"):
        parts = [squeeze(builder, part, (axis,)) for part in parts]
    return Items(_name(node), [node.derived(part) for part in parts], x.dtype)


def _concat(node: Node) -> Value:
    builder, items = node.builder, node.items(0).items
    if not items:
        raise node.invalid("its sequence is empty")
    values = [item.value(builder) for item in items]
    if node.integer("new_axis"):
        axis = axis_of(node.integer("axis"), values[0].type.rank + 1)
        values = [expand_dims(builder, value, (axis,)) for value in values]
    return concat(builder, values, node.integer("axis"))


def _optional(node: Node) -> Maybe:
    """Of its input, or of nothing of the type in its attribute."""
    if node.has(0):
        content = node.entry(0)
        if isinstance(content, Maybe):
            raise node.invalid("its input is an optional already")
        return Maybe(_name(node), content, content.kind)
    kind = node.type_proto("type")
    sequence = kind.WhichOneof("value") == "sequence_type"
    tensor = (kind.sequence_type.elem_type if sequence else kind).tensor_type
    inner = type_string(dtype_of_element(tensor.elem_type, f"attribute type of {node}"))
    return Maybe(_name(node), None, f"seq({inner})" if sequence else inner)


def _has_element(node: Node) -> Array:
    found = node.entry(0) if node.has(0) else None
    empty = found is None or (isinstance(found, Maybe) and found.content is None)
    return np.array(not empty)


def _get_element(node: Node) -> Operand | Items:
    found = node.entry(0)
    content = found.content if isinstance(found, Maybe) else found
    if content is None:
        raise ModelError(f"{node}: its optional {found.name!r} holds nothing")
    return content


LOWERINGS = (
    Lowering("SequenceConstruct", _construct, 11),
    Lowering("SequenceEmpty", _empty, 11),
    Lowering("SequenceInsert", _insert, 11),
    Lowering("SequenceErase", _erase, 11),
    Lowering("SequenceAt", _at, 11),
    Lowering("SequenceLength", _length, 11),
    Lowering("SplitToSequence", _split, 11),
    Lowering("ConcatFromSequence", _concat, 11),
    Lowering("Optional", _optional, 15),
    Lowering("OptionalHasElement", _has_element, 15),
    Lowering("OptionalGetElement", _get_element, 15),
)
