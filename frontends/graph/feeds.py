"""What `Session.run` may be given: values for tensors, checked and converted."""

from __future__ import annotations

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array, make_array
from tensorkiln.frontends.graph.convert import Convertible
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.session_handles import TensorHandle
from tensorkiln.frontends.graph.shapes import compatible, show
from tensorkiln.frontends.graph.tensor import Tensor


def fed_tensor(graph: Graph, key: object) -> Tensor:
    """The tensor that a key of the feed dictionary stands for.

    TypeError if it stands for none, ValueError if it may not be fed.
    """
    try:
        tensor = graph.as_graph_element(key, allow_operation=False)
    except (TypeError, ValueError, KeyError) as error:
        raise TypeError(f"Cannot interpret feed_dict key as Tensor: {error.args[0]}") from None
    assert isinstance(tensor, Tensor)
    if not graph.is_feedable(tensor):
        raise ValueError(f"Tensor {tensor} may not be fed.")
    return tensor


def fed_array(tensor: Tensor, value: object, key: object) -> Array:
    """`value` as a dense array of the tensor's dtype; ValueError if its shape does not fit."""
    if isinstance(value, Convertible):
        raise TypeError(
            "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include "
            "Python scalars, strings, lists, numpy ndarrays, or TensorHandles. For reference, the "
            f"tensor object was {value} which was passed to the feed with key {key}."
        )
    if isinstance(value, TensorHandle):
        is_text = tensor.dtype.base_dtype is dtypes.string
        return fed_array(tensor, value.handle if is_text else value.eval(), key)
    if tensor.dtype.base_dtype is dtypes.string:
        if isinstance(value, int):
            raise _unfit(value, tensor.dtype)
        array = make_array(value, dtypes.string)
    else:
        if isinstance(value, int) and not isinstance(value, bool) and tensor.dtype.is_integer:
            _check_range(value, tensor.dtype)
        array = _converted(value, tensor.dtype.numpy)
    if not compatible(tensor.sizes, array.shape):
        raise ValueError(
            f"Cannot feed value of shape {array.shape!r} for Tensor {tensor.name!r}, which has "
            f"shape {show(tensor.sizes)!r}"
        )
    return array


def _converted(value: object, dtype: np.dtype[np.generic]) -> Array:
    try:
        return np.asarray(value, dtype=dtype, order="C")
    except OverflowError:
        # Integers in lists wrap around, as they did with the numpy of that time.
        return np.asarray(value, order="C").astype(dtype)


def _check_range(value: int, dtype: DType) -> None:
    if not dtype.min <= value <= dtype.max:
        raise _unfit(value, dtype)


def _unfit(value: object, dtype: DType) -> TypeError:
    return TypeError(
        f"Type of feed value {value} with type {type(value)} is not compatible with Tensor type "
        f"{dtype.as_numpy_dtype}. Try explicitly setting the type of the feed tensor to a larger "
        "type (e.g. int64)."
    )
