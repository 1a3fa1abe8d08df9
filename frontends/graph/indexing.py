"""`tensor[...]`: Python's indexing as one StridedSlice op.

The masks are those of TensorFlow's public StridedSlice documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.dtypes import int32

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.tensor import Tensor


def index_tensor(tensor: Tensor, key: object, name: str = "strided_slice") -> Tensor:
    """`tensor[key]`: integers, slices with steps, `...`, new axes (None), scalar tensors."""
    items = list(key) if isinstance(key, tuple | list) else [key]
    begin: list[object] = []
    end: list[object] = []
    strides: list[object] = []
    masks = dict.fromkeys(
        ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
    )
    for position, item in enumerate(items):
        bit = 1 << position
        if isinstance(item, slice):
            masks["begin_mask"] |= bit if item.start is None else 0
            masks["end_mask"] |= bit if item.stop is None else 0
            begin.append(0 if item.start is None else item.start)
            end.append(0 if item.stop is None else item.stop)
            strides.append(1 if item.step is None else item.step)
        elif item is Ellipsis or item is None:
            masks["ellipsis_mask" if item is Ellipsis else "new_axis_mask"] |= bit
            begin.append(0)
            end.append(0 if item is Ellipsis else 1)
            strides.append(1)
        else:
            _check_index(item)
            masks["shrink_axis_mask"] |= bit
            begin.append(item)
            end.append(item + 1)  # type: ignore[operator]
            strides.append(1)
    graph = tensor.graph
    with graph.as_default(), graph.name_scope(name) as scope:
        vectors = [
            convert_to_tensor(values, _index_dtype(values), label)
            for values, label in ((begin, "stack"), (end, "stack"), (strides, "stack"))
        ]
        return apply_op("StridedSlice", (tensor, *vectors), scope, masks).outputs[0]


def _check_index(item: object) -> None:
    if isinstance(item, bool | float | str) or not (
        hasattr(item, "__index__") or isinstance(item, Convertible)
    ):
        raise TypeError(
            "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar "
            f"tf.int32/tf.int64 tensors are valid indices, got {item!r}"
        )


def _index_dtype(values: list[object]) -> object:
    for value in values:
        if isinstance(value, Convertible):
            return value._as_tensor().dtype.base_dtype
    return int32
