"""Arrays as TensorProto messages."""

from __future__ import annotations

import sys

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.files.data_types import number_of, shape_proto
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_graph import TensorProto


def tensor_proto(array: Array) -> Proto:
    """The message that holds `array`, of any dtype; strings as a list of bytes."""
    dtype = dtypes.as_dtype(array.dtype)
    made = TensorProto(dtype=number_of(dtype), tensor_shape=shape_proto(array.shape))
    if dtype is dtypes.string:
        made.string_val.extend(array.reshape(-1).tolist())
    else:
        little = array if sys.byteorder == "little" else array.byteswap()
        made.tensor_content = little.tobytes()
    return made
