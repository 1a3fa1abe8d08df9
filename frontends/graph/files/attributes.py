"""Attributes of nodes: Python values as messages (AttrValue) and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_graph import AttrValue
from tensorkiln.frontends.graph.files.tensor_proto import make_ndarray, tensor_proto
from tensorkiln.frontends.graph.shapes import as_sizes


def attribute_proto(value: object, kind: str | None = None) -> Proto:
    """A value as a message; None for values that are no data.

    `kind` is the declared type (`int`, `ints`, `shape` ...); without it Python's type decides.
    """
    chosen = kind or _kind_of(value)
    return None if chosen is None else _ENCODERS[chosen](value)


def _kind_of(value: object) -> str | None:
    for python, found in _PYTHON:
        if isinstance(value, python):
            return found
    if isinstance(value, tuple | list):
        names = {_kind_of(item) for item in value} or {"int"}
        if names == {"int", "float"}:
            names = {"float"}
        (name, *others) = names
        return f"{name}s" if not others and f"{name}s" in _LISTS else None
    return None


_PYTHON: tuple[tuple[type, str], ...] = (
    (bool, "bool"), (int, "int"), (np.integer, "int"), (float, "float"), (np.floating, "float"),
    (str, "string"), (bytes, "string"), (DType, "type"), (np.ndarray, "tensor"),
)  # fmt: skip


def _text(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _int(value: object) -> int:
    assert isinstance(value, int | np.integer)
    return int(value)


def _float(value: object) -> float:
    assert isinstance(value, int | float | np.number)
    return float(value)


def _number(value: object) -> int:
    assert isinstance(value, DType)
    return data_types.number_of(value)


_SCALARS: dict[str, tuple[str, Callable[[object], object]]] = {
    "bool": ("b", bool), "int": ("i", _int), "float": ("f", _float),
    "string": ("s", _text), "type": ("type", _number),
    "shape": ("shape", lambda v: data_types.shape_proto(as_sizes(v))),
    "tensor": ("tensor", lambda v: tensor_proto(np.asarray(v))),
}  # fmt: skip
_LISTS = {f"{name}s": entry for name, entry in _SCALARS.items()}


def _scalar_encoder(name: str) -> Callable[[object], Proto]:
    field, convert = _SCALARS[name]
    return lambda value: AttrValue(**{field: convert(value)})


def _list_encoder(name: str) -> Callable[[object], Proto]:
    field, convert = _LISTS[name]

    def encode(value: object) -> Proto:
        message = AttrValue()
        message.list.SetInParent()
        assert isinstance(value, Sequence)
        getattr(message.list, field).extend(convert(item) for item in value)
        return message

    return encode


_ENCODERS = {name: _scalar_encoder(name) for name in _SCALARS}
_ENCODERS |= {name: _list_encoder(name) for name in _LISTS}


def attribute_value(message: Proto) -> object:
    """A message as a Python value: str, int, float, bool, DType, shape, array, tuples of them.

    ValueError and NotImplementedError for broken tensors and for types that do not exist here.
    """
    field = message.WhichOneof("value")
    if field is None:
        return None
    if field == "list":
        for name, (inner, _) in _LISTS.items():
            items = getattr(message.list, inner)
            if items:
                return tuple(_DECODERS[name[:-1]](item) for item in items)
        return ()
    for name, (inner, _) in _SCALARS.items():
        if inner == field:
            return _DECODERS[name](getattr(message, field))
    raise NotImplementedError(f"attributes of kind {field!r} are not supported")


def attribute_as_read(message: Proto) -> object:
    """A message as `Operation.get_attr` gives it: texts stay bytes, shapes and tensors messages."""
    field = message.WhichOneof("value")
    if field is None:
        return []
    if field == "list":
        for inner, items in message.list.ListFields():
            return [_decode_type(n) for n in items] if inner.name == "type" else list(items)
        return []
    found = getattr(message, field)
    return _decode_type(found) if field == "type" else found


def _decode_type(number: int) -> DType:
    found = data_types.dtype_of(number)
    if found is None:
        raise NotImplementedError(f"the type {data_types.name_of(number)} is not supported")
    return found


_DECODERS: dict[str, Callable[[Proto], object]] = {
    "bool": bool, "int": int, "float": float,
    "string": lambda data: data.decode("utf-8", "surrogateescape"), "type": _decode_type,
    "shape": data_types.sizes_of, "tensor": make_ndarray,
}  # fmt: skip
