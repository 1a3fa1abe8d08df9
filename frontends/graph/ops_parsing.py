"""Training examples and raw bytes as tensors: host ops, since they read strings."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, make
from tensorkiln.frontends.graph.arrays import Array, make_array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.proto_example import Example
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.shapes import as_sizes, brackets
from tensorkiln.frontends.graph.sparse_dense import sparse_merge
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor
from tensorkiln.frontends.graph.tensor import Tensor


class FixedLenFeature(NamedTuple):
    """A feature of one shape in every example; without a default it must be there."""

    shape: object
    dtype: object
    default_value: object = None


class VarLenFeature(NamedTuple):
    """A feature of any number of values in each example: a SparseTensor."""

    dtype: object


class FixedLenSequenceFeature(NamedTuple):
    """A feature of any number of items of one shape, padded to the longest example's."""

    shape: object
    dtype: object
    allow_missing: bool = False
    default_value: object = None


class SparseFeature(NamedTuple):
    """A SparseTensor whose last index (or indices) and values are features of their own."""

    index_key: object
    value_key: str
    dtype: object
    size: object
    already_sorted: bool = False


class _Field(NamedTuple):
    """What is parsed of one key; `form` is fixed, variable or sequence."""

    key: str
    dtype: DType
    shape: tuple[int, ...]
    default: Array | None
    form: str = "fixed"


_LISTS = {
    dtypes.string: ("bytes_list", "string"),
    dtypes.float32: ("float_list", "float"),
    dtypes.int64: ("int64_list", "int64"),
}
_LIST_TYPES = dict(_LISTS.values())


Parsed = dict[str, Tensor | SparseTensor]


def parse_example(
    serialized: object,
    features: Mapping[str, object],
    name: str | None = None,
    example_names: object = None,
) -> Parsed:
    """The features of a vector of serialised Example messages, each [examples, *shape].

    `features` are FixedLenFeature, FixedLenSequenceFeature, VarLenFeature and SparseFeature by
    key.  A run gives InvalidArgumentError where a feature is missing, or of another type or size.
    """
    with name_scope(name, "ParseExample", [serialized]):
        return _parsed("ParseExample", serialized, features)


def parse_single_example(
    serialized: object,
    features: Mapping[str, object],
    name: str | None = None,
    example_names: object = None,
) -> Parsed:
    """The features of one serialised Example; see parse_example."""
    with name_scope(name, "ParseSingleExample", [serialized]):
        return _parsed("ParseSingleExample", serialized, features)


def _parsed(kind: str, serialized: object, features: Mapping[str, object]) -> Parsed:
    if not features:
        raise ValueError("Missing features.")
    wanted: dict[str, object] = {}
    for key, feature in features.items():
        wanted |= _parts(key, feature)
    fields = tuple(_field(key, wanted[key]) for key in sorted(wanted))
    data = convert_to_tensor(serialized, dtypes.string, "serialized")
    operation = apply_op(kind, (data,), kind, {"fields": fields})
    outputs = iter(operation.outputs)
    sparse = [field.key for field in fields if field.form == "variable"]
    columns = [[next(outputs) for _ in sparse] for _ in range(3)]
    found: Parsed = {
        key: SparseTensor(*part)
        for key, part in zip(sparse, zip(*columns, strict=True), strict=True)
    }
    found |= {f.key: next(outputs) for f in fields if f.form != "variable"}
    return {key: _whole(feature, found, key) for key, feature in features.items()}


def _parts(key: str, feature: object) -> dict[str, object]:
    """The features that must be read for one that is asked for."""
    if not isinstance(feature, SparseFeature):
        return {key: feature}
    parts: dict[str, object] = {k: VarLenFeature(dtypes.int64) for k in _index_keys(feature)}
    return parts | {feature.value_key: VarLenFeature(feature.dtype)}


def _index_keys(feature: SparseFeature) -> list[str]:
    keys = feature.index_key
    return [str(key) for key in keys] if isinstance(keys, list | tuple) else [str(keys)]


def _whole(feature: object, found: Parsed, key: str) -> Tensor | SparseTensor:
    if not isinstance(feature, SparseFeature):
        return found[key]
    ids = [found[k] for k in _index_keys(feature)]
    sizes = list(feature.size) if isinstance(feature.size, list | tuple) else [feature.size]
    values = found[feature.value_key]
    return sparse_merge(ids, values, sizes, already_sorted=feature.already_sorted)


def _field(key: str, feature: object) -> _Field:
    kinds = FixedLenFeature | FixedLenSequenceFeature | VarLenFeature
    if not isinstance(feature, kinds):
        raise ValueError(f"Invalid feature {key}:{feature}.")
    if not feature.dtype:
        raise ValueError(f"Missing type for feature {key}. Received feature={feature}")
    dtype = dtypes.as_dtype(feature.dtype)
    if dtype not in _LISTS:
        raise ValueError(f"feature {key} has type {dtype.name}; it may be float32, int64 or string")
    if isinstance(feature, VarLenFeature):
        return _Field(key, dtype, (), None, "variable")
    sizes = as_sizes(feature.shape)
    if sizes is None or None in sizes:
        raise ValueError(f"The shape of feature {key} must be fully defined, not {sizes}")
    shape = tuple(size for size in sizes if size is not None)
    default = None
    if feature.default_value is not None:
        default = np.broadcast_to(make_array(feature.default_value, dtype), shape)
    if isinstance(feature, FixedLenFeature):
        return _Field(key, dtype, shape, default)
    if not feature.allow_missing:
        raise ValueError("Unsupported: FixedLenSequenceFeature requires allow_missing to be True.")
    filler = np.full((), b"" if dtype is dtypes.string else 0, dtype.numpy)
    return _Field(key, dtype, shape, filler if default is None else default, "sequence")


def _fields(op: Operation) -> tuple[_Field, ...]:
    fields = op.attributes["fields"]
    assert isinstance(fields, tuple)
    return fields


def _infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    if op.type == "ParseSingleExample":
        first: tuple[int | None, ...] = ()
    else:
        first = (None,) if sizes is None else sizes
    sparse = [field for field in _fields(op) if field.form == "variable"]
    rank = len(first) + 1
    return [
        *[(dtypes.int64, (None, rank))] * len(sparse), *((f.dtype, (None,)) for f in sparse),
        *[(dtypes.int64, (rank,))] * len(sparse),
        *((f.dtype, (*first, *([None] if f.form == "sequence" else []), *f.shape))
          for f in _fields(op) if f.form != "variable"),
    ]  # fmt: skip


def _host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    single = op.type == "ParseSingleExample"
    examples = [_decode(op, data) for data in arrays[0].reshape(-1).tolist()]
    sparse: list[tuple[Array, Array, Array]] = []
    dense: list[Array] = []
    for field in _fields(op):
        rows = [
            _values(op, field, example, None if single else k) for k, example in enumerate(examples)
        ]
        if field.form == "variable":
            sparse.append(_sparse(field, rows, single))
        else:
            dense.append(_dense(field, rows, arrays[0].shape))
    return [*(part for column in zip(*sparse, strict=True) for part in column), *dense]


def _dense(field: _Field, rows: Sequence[Array], lead: tuple[int, ...]) -> Array:
    if field.form == "fixed":
        made = np.empty((len(rows), *field.shape), field.dtype.numpy)
        for k, row in enumerate(rows):
            made[k, ...] = row
        return made.reshape(lead + field.shape)
    longest = max((len(row) for row in rows), default=0)
    made = np.empty((len(rows), longest, *field.shape), field.dtype.numpy)
    made[...] = field.default
    for k, row in enumerate(rows):
        made[k, : len(row)] = row
    return made.reshape((*lead, longest, *field.shape))


def _sparse(field: _Field, rows: Sequence[Array], single: bool) -> tuple[Array, Array, Array]:
    """Indices, values and shape."""
    places = [(k, column) for k, row in enumerate(rows) for column in range(len(row))]
    indices = np.array(places, np.int64).reshape(-1, 2)
    longest = max((len(row) for row in rows), default=0)
    values = np.concatenate([np.empty(0, field.dtype.numpy), *rows])
    if single:
        return indices[:, 1:], values, np.array([longest], np.int64)
    return indices, values, np.array([len(rows), longest], np.int64)


def _decode(op: Operation, data: bytes) -> Proto:
    try:
        return Example.FromString(data)
    except DecodeError:
        raise _error(op, f"Could not parse example input, value: {data[:100]!r}") from None


def _values(op: Operation, field: _Field, example: Proto, index: int | None) -> Array:
    """One feature of one example as an array of its shape; `index` is its place in the batch."""
    where = "" if index is None else "Name: <unknown>, "
    place = f"{where}Key: {field.key}" + ("" if index is None else f", Index: {index}")
    list_name, shown = _LISTS[field.dtype]
    kind = None
    if field.key in example.features.feature:
        feature = example.features.feature[field.key]
        kind = feature.WhichOneof("kind")
    if kind is None:
        if field.form != "fixed":
            return np.empty((0, *field.shape), field.dtype.numpy)
        if field.default is None:
            raise _error(
                op, f"{where}Feature: {field.key} (data type: {shown}) is required but could not "
                "be found.",
            )  # fmt: skip
        return field.default
    if kind != list_name:
        raise _error(
            op, f"{place}.  Data types don't match. Data type: "
            f"{_LIST_TYPES[kind]} but expected type: {shown}",
        )  # fmt: skip
    values = list(getattr(feature, kind).value)
    flat = np.empty(len(values), field.dtype.numpy)
    flat[:] = values
    if field.form == "variable":
        return flat
    stride = int(np.prod(field.shape))
    if field.form == "sequence":
        if stride and flat.size % stride:
            raise _error(
                op, f"{place}.  Number of {shown} values is not a multiple of stride length. Saw "
                f"{flat.size} values but output shape is: {brackets(field.shape)}",
            )  # fmt: skip
        return flat.reshape(-1, *field.shape)
    if flat.size != stride:
        raise _error(
            op, f"{place}.  Number of {shown} values != expected.  Values size: "
            f"{flat.size} but output shape: {brackets(field.shape)}",
        )  # fmt: skip
    return flat.reshape(field.shape)


def _error(op: Operation, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(op.name, op, f"{message}\n\t {op.node_text}")


def decode_raw(
    bytes: object = None,
    out_type: object = None,
    little_endian: bool = True,
    name: str | None = None,
    input_bytes: object = None,
) -> Tensor:
    """The bytes of each string as numbers of `out_type`, in a new last dim."""
    data = bytes if bytes is not None else input_bytes
    kind = dtypes.as_dtype(out_type)
    return make("DecodeRaw", (data,), name, out_type=kind, little_endian=little_endian)


def _raw_infer(op: Operation) -> Sequence[Result]:
    dtype, sizes = op.attributes["out_type"], op.inputs[0].sizes
    assert isinstance(dtype, DType)
    return [(dtype, None if sizes is None else (*sizes, None))]


def _raw_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    (strings,) = arrays
    dtype = op.attributes["out_type"]
    assert isinstance(dtype, DType)
    items = strings.reshape(-1).tolist()
    length = len(items[0]) if items else 0
    for item in items:
        if len(item) != length:
            raise _error(
                op, "DecodeRaw requires input strings to all be the same size, but element "
                f"{items.index(item)} has size {len(item)} != {length}",
            )  # fmt: skip
    if length % dtype.size:
        raise _error(
            op, f"Input to DecodeRaw has length {length} that is not a multiple of {dtype.size}, "
            f"the size of {dtype.name}",
        )  # fmt: skip
    flat = np.frombuffer(b"".join(items), dtype.numpy)
    if op.flag("little_endian") != (sys.byteorder == "little"):
        flat = flat.byteswap()
    return [flat.reshape(*strings.shape, length // dtype.size)]


register(
    OpKind("ParseExample", "serialized:string", _infer, host_only, differentiable=False, host=_host),
    OpKind("ParseSingleExample", "serialized:string", _infer, host_only, differentiable=False,
           host=_host),
    OpKind("DecodeRaw", "bytes:string", _raw_infer, host_only, differentiable=False,
           host=_raw_host),
)  # fmt: skip
