"""Python and numpy values as the arrays that constants and feeds hold."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.dimension import Dimension
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.shapes import Sizes, show

Array: TypeAlias = NDArray[np.generic]


def make_array(value: object, dtype: DType | None = None) -> Array:
    """`value` as an array of `dtype`, or of the dtype TensorFlow gives it.

    Python floats become float32 and integers int32 (int64 if they do not fit); numpy arrays keep
    their dtype; strings become bytes.  TypeError where a value does not fit the dtype.
    """
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.kind in "SUO":
            return _strings(array, dtype)
        return np.array(array, dtype=array.dtype if dtype is None else dtype.numpy, order="C")
    array = _untyped(value)
    if array.dtype.kind in "SUO":
        return _strings(array, dtype)
    if dtype is None:
        return _default_type(array)
    _check_fits(value, array, dtype)
    return array.astype(dtype.numpy)


def _untyped(value: object) -> Array:
    if value is None:
        raise ValueError("None values not supported.")
    if isinstance(value, list | tuple):
        value = [int(item) if isinstance(item, Dimension) else item for item in value]
    try:
        array = np.array(value)
        # numpy's own strings lose the zero bytes at their ends.
        return np.array(value, dtype=object) if array.dtype.kind in "SU" else array
    except ValueError:
        wanted = _dense_sizes(value)
        raise ValueError(
            f"Argument must be a dense tensor: {value!r} - got shape {_common_sizes(value, wanted)}, "
            f"but wanted {wanted}."
        ) from None


def _dense_sizes(value: object) -> list[int]:
    """The sizes that a nested list has if all of its rows are like the first."""
    sizes: list[int] = []
    while isinstance(value, list | tuple | np.ndarray):
        sizes.append(len(value))
        value = value[0] if len(value) else None
    return sizes


def _common_sizes(value: object, wanted: list[int]) -> list[int]:
    """The outer sizes that all rows of a nested list agree on."""
    rows, sizes = [value], list[int]()
    for size in wanted:
        if any(not isinstance(row, list | tuple | np.ndarray) or len(row) != size for row in rows):
            break
        sizes.append(size)
        rows = [item for row in rows for item in row]  # type: ignore[attr-defined]
    return sizes


def _default_type(array: Array) -> Array:
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64:
        small = array.astype(np.int32)
        return small if np.array_equal(small, array) else array
    dtypes.as_dtype(array.dtype)
    return array


def _check_fits(value: object, array: Array, dtype: DType) -> None:
    kind = array.dtype.kind
    fits = (
        (kind == "b") == dtype.is_bool
        and (kind != "f" or dtype.is_floating or dtype.is_complex)
        and (kind != "c" or dtype.is_complex)
        and dtype is not dtypes.string
    )
    if array.size == 0:
        return
    if not fits:
        first = array.reshape(-1)[0].item()
        raise TypeError(
            f"Expected {dtype.name}, got {first!r} of type {type(first).__name__!r} instead."
        )
    if dtype.is_integer and (array.min() < dtype.min or array.max() > dtype.max):
        raise ValueError(
            f"Tensor conversion requested dtype {dtype.name}, which cannot hold {value!r}"
        )


def _strings(array: Array, dtype: DType | None) -> Array:
    if dtype is not None and dtype is not dtypes.string:
        first = array.reshape(-1)[0] if array.size else ""
        raise TypeError(
            f"Expected {dtype.name}, got {first!r} of type {type(first).__name__!r} instead."
        )
    result = np.empty(array.shape, dtype=object)
    flat = result.reshape(-1)
    for index, item in enumerate(array.reshape(-1)):
        if isinstance(item, str):
            flat[index] = item.encode("utf-8")
        elif isinstance(item, bytes):
            flat[index] = bytes(item)
        else:
            raise TypeError(f"Expected binary or unicode string, got {item!r}")
    return result


def fill_shape(array: Array, shape: Sizes, verify: bool) -> Array:
    """`array` in the given shape, its last value repeated to fill it.

    TypeError if `verify` is set and the shapes differ; ValueError if there are too many values.
    """
    if shape is None or array.shape == shape:
        return array
    sizes = tuple(size for size in shape if size is not None)
    if verify:
        raise TypeError(f"Expected Tensor's shape: {show(sizes)}, got {show(array.shape)}.")
    wanted = math.prod(sizes)
    if array.size > wanted:
        raise ValueError(
            f"Too many elements provided. Needed at most {wanted}, but received {array.size}"
        )
    if array.size == wanted:
        return array.reshape(sizes)
    if array.size == 0:
        raise ValueError(f"no value to fill the shape {show(sizes)} with")
    flat = array.reshape(-1)
    filled = np.empty(wanted, dtype=array.dtype)
    filled[: flat.size] = flat
    filled[flat.size :] = flat[-1]
    return filled.reshape(sizes)
