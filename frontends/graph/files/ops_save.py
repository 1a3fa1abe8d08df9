"""The ops that write variables to a checkpoint and read them, as a Saver puts them in its graph."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import DType, boolean, string
from tensorkiln.frontends.graph.errors import InvalidArgumentError, NotFoundError, OpError
from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.bundle import Bundle, write_bundle
from tensorkiln.frontends.graph.files.slices_checkpoint import SlicesCheckpoint, open_checkpoint
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.save_slices import Slice, parse_slice, split_label
from tensorkiln.runtime.errors import UnsupportedError

Checkpoint: TypeAlias = "Bundle | SlicesCheckpoint"


def read_checked(bundle: Checkpoint, key: str, dtype: DType, op: Operation) -> Array:
    """A tensor of a bundle, or the slice of one that `key` names, for the op that restores it.

    NotFoundError if it is missing, InvalidArgumentError if it has another element type.
    """
    name, part = split_label(key)[0], _slice(key, op)
    if name not in bundle.entries:
        raise NotFoundError(op.name, op, f"Key {name} not found in checkpoint{at(op)}")
    stored = bundle.entry(name).dtype
    wanted = data_types.number_of(dtype)
    if stored != wanted:
        raise InvalidArgumentError(
            op.name, op, f"tensor_name = {name}; expected dtype {data_types.short_name(wanted)} "
            f"does not equal original dtype {data_types.short_name(stored)}{at(op)}",
        )  # fmt: skip
    whole = bundle.read(name)
    if part is None:
        return whole
    if whole.shape != part.full_shape:
        raise InvalidArgumentError(
            op.name, op, f"tensor_name = {name}; shape in shape_and_slice spec "
            f"{list(part.full_shape)} does not match the shape stored in checkpoint: "
            f"{list(whole.shape)}{at(op)}",
        )  # fmt: skip
    return np.ascontiguousarray(whole[part.places]).reshape(part.shape)


def at(op: Operation) -> str:
    """The end of an error text that names the op."""
    return f"\n\t {op.node_text}"


def open_bundle(path: str, op: Operation) -> Checkpoint:
    """The bundle at `path`; errors name the op."""
    try:
        return open_checkpoint(path)
    except OpError as error:
        raise type(error)(op.name, op, f"{error}{at(op)}") from None


def _text(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def _save(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    prefix, names, slices, *tensors = arrays
    keys = _keys(names, slices)
    for key, tensor in zip(keys, tensors, strict=True):
        part = _slice(key, op)
        if part is not None and part.shape != tensor.shape:
            raise InvalidArgumentError(
                op.name, op, f"{key!r} is not a slice of shape {list(tensor.shape)}{at(op)}"
            )
    write_bundle(_text(prefix.reshape(()).item()), dict(zip(keys, tensors, strict=True)))
    return []


def _restore(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    prefix, names, slices = arrays
    bundle = open_bundle(_text(prefix.reshape(()).item()), op)
    pairs = zip(_keys(names, slices), op.outputs, strict=True)
    return [read_checked(bundle, key, t.dtype.base_dtype, op) for key, t in pairs]


def _keys(names: Array, slices: Array) -> list[str]:
    """Names, with the slices of those that have one."""
    pairs = zip(names.flat, slices.flat, strict=True)
    return [" ".join(word for word in (_text(n), _text(s)) if word) for n, s in pairs]


def _slice(key: str, op: Operation) -> Slice | None:
    """The slice in a name; InvalidArgumentError for a wrong one."""
    _, spec = split_label(key)
    try:
        return parse_slice(spec) if spec else None
    except ValueError as error:
        raise InvalidArgumentError(op.name, op, f"{error}{at(op)}") from None


def _restored(op: Operation) -> Sequence[Result]:
    kinds = op.attributes["dtypes"]
    assert isinstance(kinds, tuple)
    return [(kind, None) for kind in kinds]


def _shard_name(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    base, shard, count = (array.reshape(()).item() for array in arrays)
    return [f"{_text(base)}-{int(shard):05d}-of-{int(count):05d}".encode()]


def _matches(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    """Only the pattern with which TensorFlow asks for remote file systems is known."""
    pattern = op.text("pattern")
    if pattern != "^s3://.*":
        raise UnsupportedError(f"{op.name!r} matches strings with {pattern!r}")
    (array,) = arrays
    found = [_text(item).startswith("s3://") for item in array.flat]
    return [np.array(found).reshape(array.shape)]


def _merge(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    prefixes, destination = arrays
    parts = [open_bundle(_text(item), op) for item in prefixes.flat]
    write_bundle(
        _text(destination.reshape(()).item()),
        {name: part.read(name) for part in parts for name in part.entries},
    )
    return []


register(
    OpKind("SaveV2", "prefix:string tensor_names:string shape_and_slices:string tensors:any*",
           lambda op: [], host_only, differentiable=False, host=_save),
    OpKind("RestoreV2", "prefix:string tensor_names:string shape_and_slices:string", _restored,
           host_only, differentiable=False, host=_restore),
    OpKind("ShardedFilename", "basename:string shard:int32 num_shards:int32",
           lambda op: [(string, ())], host_only, differentiable=False, host=_shard_name),
    OpKind("StaticRegexFullMatch", "input:string", lambda op: [(boolean, op.inputs[0].sizes)],
           host_only, differentiable=False, host=_matches),
    OpKind("MergeV2Checkpoints", "checkpoint_prefixes:string destination_prefix:string",
           lambda op: [], host_only, differentiable=False, host=_merge),
)  # fmt: skip
