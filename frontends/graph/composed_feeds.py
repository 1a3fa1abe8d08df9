"""Feeds whose keys stand for several tensors: sparse tensors, slices, tuples of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tensorkiln.frontends.graph.indexed_slices import IndexedSlices
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor
from tensorkiln.frontends.graph.tensor import Tensor

COMPOSED = (SparseTensor, IndexedSlices, tuple)
_SIMPLE = frozenset({Tensor, str})


def is_composed(keys: Iterable[object]) -> bool:
    """True if one of the keys stands for several tensors."""
    # The usual keys at once: this is asked before every run.
    if _SIMPLE.issuperset(map(type, keys)):
        return False
    return any(isinstance(key, COMPOSED) for key in keys)


def spread_feeds(feeds: Mapping[object, object]) -> dict[object, object]:
    """The feeds with one tensor a key.

    TypeError for a value that is not composed as its key is, ValueError for one of another length.
    """
    return dict(pair for key, value in feeds.items() for pair in _pairs(key, value))


def _pairs(key: object, value: object) -> Iterator[tuple[object, object]]:
    if isinstance(key, SparseTensor):
        parts = _parts(value, "SparseTensor", "(indices, values, dense_shape)", (3,))
        yield from zip((key.indices, key.values, key.dense_shape), parts, strict=True)
    elif isinstance(key, IndexedSlices):
        tensors = [key.values, key.indices]
        if key.dense_shape is None:
            parts = _parts(value, "IndexedSlices", "(values, indices)", (2, 3))[:2]
        else:
            tensors.append(key.dense_shape)
            parts = _parts(value, "IndexedSlices", "(values, indices, dense_shape)", (3,))
        yield from zip(tensors, parts, strict=True)
    elif isinstance(key, tuple):
        values = value if isinstance(value, list | tuple) else (value,)
        if len(values) != len(key):
            raise ValueError(
                f"Could not flatten dictionary. Key had {len(key)} elements, but value had "
                f"{len(values)} elements. Key: {key}, value: {value}."
            )
        for inner, own in zip(key, values, strict=True):
            yield from _pairs(inner, own)
    else:
        yield key, value


def _parts(value: object, kind: str, wanted: str, lengths: tuple[int, ...]) -> tuple[object, ...]:
    if not isinstance(value, tuple) or len(value) not in lengths:
        article = "An" if kind[0] in "AEIOU" else "A"
        raise TypeError(
            f"{article} {kind} is fed with a {kind}Value or a tuple {wanted}, not {value!r}"
        )
    return value
