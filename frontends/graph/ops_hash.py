"""Hashes and fingerprints of strings and other tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.hashes import fingerprint64, murmur64, siphash
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.tensor import Tensor

_SEED = 0xDECAFCAFFE


def string_to_hash_bucket_fast(input: object, num_buckets: int, name: str | None = None) -> Tensor:
    """FarmHash's fingerprint of each string modulo `num_buckets`, int64: the same everywhere."""
    return _bucket("StringToHashBucketFast", input, num_buckets, name)


def string_to_hash_bucket(
    string_tensor: object, num_buckets: int, name: str | None = None, input: object = None
) -> Tensor:
    """The older hash of each string (MurmurHash64A) modulo `num_buckets`, int64."""
    given = string_tensor if input is None else input
    return _bucket("StringToHashBucket", given, num_buckets, name)


def string_to_hash_bucket_strong(
    input: object, num_buckets: int, key: Sequence[int], name: str | None = None
) -> Tensor:
    """SipHash-2-4, under a key of two integers, of each string modulo `num_buckets`, int64."""
    words = [int(word) for word in key]
    if len(words) != 2:
        raise ValueError(f"Key must have 2 elements, got {len(words)}")
    pair = tuple(word % 2**64 for word in words)
    return _bucket("StringToHashBucketStrong", input, num_buckets, name, key=pair)


def _bucket(
    kind: str, texts: object, num_buckets: int, name: str | None, **attributes: object
) -> Tensor:
    if int(num_buckets) < 1:
        raise ValueError(
            f"Attr 'num_buckets' of '{kind}' Op passed {num_buckets} less than minimum 1."
        )
    return make(kind, (texts,), name, num_buckets=int(num_buckets), **attributes)


def fingerprint(data: object, method: object = "farmhash64", name: str | None = None) -> Tensor:
    """Eight bytes (uint8) for each row of `data`: FarmHash's fingerprint of the row's bytes.

    Strings are fingerprinted one by one; a row of several is the fingerprint of those.
    """
    with graph_of([data]).name_scope(name or "Fingerprint") as scope:
        return make("Fingerprint", (convert_to_tensor(data), method), scope)


def _buckets(function: Callable[[Operation, bytes], int]) -> Callable[..., Sequence[Array]]:
    def host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
        limit = op.integer("num_buckets")
        found = [function(op, text) % limit for text in arrays[0].reshape(-1).tolist()]
        return [np.array(found, np.int64).reshape(arrays[0].shape)]

    return host


def _strong(op: Operation, text: bytes) -> int:
    first, second = op.integers("key")
    return siphash(text, (first, second))


def _print_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    if sizes is not None and not sizes:
        raise ValueError(f"fingerprint needs rows: {op.inputs[0]} is a scalar")
    return [(dtypes.uint8, (None if sizes is None else sizes[0], 8))]


def _prints(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    data, method = arrays[0], arrays[1].reshape(()).item()
    if method != b"farmhash64":
        raise InvalidArgumentError(
            op.name, op, f"Unsupported data fingerprinting method {method.decode()!r}: there is "
            "'farmhash64'",
        )  # fmt: skip
    rows = data.reshape(data.shape[0], -1) if data.size else data.reshape(data.shape[0], 0)
    texts = base(op.inputs[0]) is dtypes.string
    found = [_row(row, texts) for row in rows]
    return [np.frombuffer(b"".join(found), np.uint8).reshape(-1, 8)]


def _row(row: Array, texts: bool) -> bytes:
    if not texts:
        content = np.ascontiguousarray(row).tobytes()
    elif row.size == 1:
        content = row.item()
    else:
        content = b"".join(fingerprint64(text).to_bytes(8, "little") for text in row.tolist())
    return fingerprint64(content).to_bytes(8, "little")


def _like(op: Operation) -> Sequence[Result]:
    return [(dtypes.int64, op.inputs[0].sizes)]


register(
    OpKind("StringToHashBucketFast", "input:string", _like, host_only, differentiable=False,
           host=_buckets(lambda op, text: fingerprint64(text))),
    OpKind("StringToHashBucket", "string_tensor:string", _like, host_only, differentiable=False,
           host=_buckets(lambda op, text: murmur64(text, _SEED))),
    OpKind("StringToHashBucketStrong", "input:string", _like, host_only, differentiable=False,
           host=_buckets(_strong)),
    OpKind("Fingerprint", "data:T method:string", _print_infer, host_only, differentiable=False,
           host=_prints),
)  # fmt: skip
