"""`tf.assert_same_float_dtype`."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType


def assert_same_float_dtype(tensors: Sequence[object] | None = None, dtype: object = None) -> DType:
    """The float type of all tensors (None is passed over), which is `dtype` if that is given.

    float32 if there is nothing; ValueError where types differ or are no floats.
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
    first = ""
    for item in tensors or ():
        if item is None:
            continue
        tensor = convert_to_tensor(item)
        kind = tensor.dtype.base_dtype
        if wanted is None:
            wanted, first = kind, tensor.name
        elif kind is not wanted:
            expected = f" of {first}" if first else ""
            raise ValueError(
                f"{tensor.name}: expected type {wanted.name}{expected}, got {kind.name}"
            )
    found = dtypes.float32 if wanted is None else wanted
    if not found.is_floating:
        raise ValueError(f"Expected floating point type, got {found.name}.")
    return found
