"""Functions that say into how many parts a variable is cut along each dim."""

from __future__ import annotations

import math
from collections.abc import Callable

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.initializers import known

Partitioner = Callable[..., list[int]]


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """Cuts into `num_shards` parts along `axis`, or as many as it has elements if they are fewer."""

    def partitioner(shape: object, **unused: object) -> list[int]:
        sizes = known(shape)
        parts = [1] * len(sizes)
        parts[axis] = min(num_shards, sizes[axis])
        return parts

    return partitioner


def variable_axis_size_partitioner(
    max_shard_bytes: int, axis: int = 0, bytes_per_string_element: int = 16,
    max_shards: int | None = None,
) -> Partitioner:  # fmt: skip
    """Cuts along `axis` into parts of at most `max_shard_bytes`, at most `max_shards` of them."""
    if max_shard_bytes < 1 or bytes_per_string_element < 1:
        raise ValueError("Both max_shard_bytes and bytes_per_string_element must be positive.")
    if max_shards is not None and max_shards < 1:
        raise ValueError("max_shards must be positive.")

    def partitioner(shape: object, dtype: object) -> list[int]:
        sizes, width = known(shape), _width(dtype, bytes_per_string_element)
        parts = [1] * len(sizes)
        slice_bytes = max(1, math.prod(sizes) // max(1, sizes[axis]) * width)
        rows = max(1, max_shard_bytes // slice_bytes)
        wanted = max(1, math.ceil(sizes[axis] / rows))
        parts[axis] = wanted if max_shards is None else min(wanted, max_shards)
        return parts

    return partitioner


def min_max_variable_partitioner(
    max_partitions: int = 1, axis: int = 0, min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Partitioner:  # fmt: skip
    """Cuts along `axis` into parts of at least `min_slice_size` bytes, at most `max_partitions`."""

    def partitioner(shape: object, dtype: object) -> list[int]:
        if axis >= len(sizes := known(shape)):
            raise ValueError(f"Cannot partition variable along axis {axis} when shape is {shape}")
        whole = math.prod(sizes) * _width(dtype, bytes_per_string_element)
        parts = [1] * len(sizes)
        parts[axis] = max(1, min(sizes[axis], max_partitions, math.ceil(whole / min_slice_size)))
        return parts

    return partitioner


def _width(dtype: object, bytes_per_string_element: int) -> int:
    kind = dtypes.as_dtype(dtype).base_dtype
    return bytes_per_string_element if kind is dtypes.string else kind.size
