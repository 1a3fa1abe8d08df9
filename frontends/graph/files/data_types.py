"""TensorFlow's numbers for element types and shapes in messages."""

from __future__ import annotations

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.files.messages import Proto, enum_values
from tensorkiln.frontends.graph.shapes import Sizes, TensorShape, as_sizes

_SHORT = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}
_NUMBERS = enum_values("DataType")
_REF = 100

_NUMBER_OF = {
    d: _NUMBERS[f"DT_{_SHORT.get(d.name, d.name.upper())}"]
    for d in (*dtypes.ALL, *dtypes.QUANTIZED)
}
_NUMBER_OF |= {d.as_ref: number + _REF for d, number in _NUMBER_OF.items()}
_DTYPE_OF = {number: d for d, number in _NUMBER_OF.items()}
_NAME_OF = {number: name for name, number in _NUMBERS.items()}


def number_of(dtype: DType) -> int:
    """The number of an element type; that of a reference is 100 larger."""
    return _NUMBER_OF[dtype]


def dtype_of(number: int) -> DType | None:
    """The element type of a number, None for those that do not exist here."""
    return _DTYPE_OF.get(number)


def name_of(number: int) -> str:
    """The name in messages, such as `DT_FLOAT`."""
    return _NAME_OF.get(number, str(number))


def short_name(number: int) -> str:
    """The name in error texts, such as `float` or `int64`."""
    return name_of(number).removeprefix("DT_").lower()


def shape_proto(sizes: Sizes) -> Proto:
    """A shape as a message; unknown dims are -1."""
    return TensorShape(sizes).as_proto()


def sizes_of(message: Proto) -> Sizes:
    """A message as a shape."""
    return as_sizes(message)
