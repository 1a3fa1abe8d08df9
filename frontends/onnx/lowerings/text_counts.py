"""TfIdfVectorizer of integers: how often each n-gram of a pool is in a row."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32, I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.shorthand import (
    broadcast_in_dim,
    broadcast_to,
    compare,
    concat,
    convert,
    full,
    full_like,
    reduce_sum,
    reshape,
    slice_,
    take,
)
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

_MOST_WINDOWS = 256  # items of an n-gram, or left out between two of them


def _vectorized(node: Node) -> Value:
    builder, x = node.builder, node.value()
    if x.type.rank not in (1, 2):
        raise node.invalid(f"its input has rank {x.type.rank}, not 1 or 2")
    if not node.given("pool_int64s"):
        raise node.unsupported("it counts strings")
    batch = x.shape[0] if x.type.rank == 2 else 1
    rows = convert(builder, reshape(builder, x, (batch, x.shape[-1])), I64)
    places = np.array(node.integers("ngram_indexes"), np.int64)
    pools = list(_pools(node))
    if sum(len(pool) for pool in pools) != len(places) or (len(places) and places.min() < 0):
        raise node.invalid(f"{len(places)} ngram_indexes do not fit its pool")
    width = int(places.max()) + 1 if len(places) else 0
    if not width:
        raise node.invalid("its pool is empty")
    counts = [_counts(node, rows, pool) for pool in pools if len(pool)]
    found = _weighted(node, concat(builder, counts, 1))
    source = np.full(width, -1, np.int64)
    source[places] = np.arange(len(places))
    padded = concat(builder, [found, full(builder, (rows.shape[0], 1), 0, F32)], 1)
    placed = take(builder, padded, builder.constant(np.where(source < 0, len(places), source)), 1)
    return placed if x.type.rank == 2 else reshape(builder, placed, (width,))


def _pools(node: Node) -> Iterator[Array]:
    """The n-grams [count, n] of the pool, n = 1, 2, ..."""
    pool = np.array(node.integers("pool_int64s"), np.int64)
    starts = [*node.integers("ngram_counts"), len(pool)]
    for k, (start, end) in enumerate(itertools.pairwise(starts)):
        if not 0 <= start <= end <= len(pool) or (end - start) % (k + 1):
            raise node.invalid(f"ngram_counts {starts[:-1]} do not divide a pool of {len(pool)}")
        yield pool[start:end].reshape(-1, k + 1)


def _counts(node: Node, rows: Value, pool: Array) -> Value:
    """How often each n-gram is there, f32[rows, n-grams], with up to max_skip_count items left out
    between any two of its own."""
    builder = node.builder
    grams, n = pool.shape
    batch, length = rows.shape
    total = full(builder, (batch, grams), 0, F32)
    if not node.integer("min_gram_length") <= n <= node.integer("max_gram_length"):
        return total
    most = node.integer("max_skip_count") if n > 1 else 0
    if max(n, min(most, length)) > _MOST_WINDOWS:
        raise node.unsupported(f"{n}-grams with {most} items left out between any two")
    for skip in range(most + 1):
        step = skip + 1
        windows = length - (n - 1) * step
        if windows < 1:
            break
        shape = (batch, windows, grams)
        hits = []
        for k in range(n):
            part = slice_(builder, rows, (0, k * step), (batch, k * step + windows))
            item = broadcast_to(builder, builder.constant(pool[:, k].copy()), shape)
            hits.append(
                compare(builder, "EQ", broadcast_in_dim(builder, part, shape, (0, 1)), item)
            )
        hit = functools.reduce(lambda a, b: builder.one("and", (a, b)), hits)
        found = reduce_sum(builder, convert(builder, hit, F32), (1,))
        total = builder.one("add", (total, found))
    return total


def _weighted(node: Node, counts: Value) -> Value:
    builder, mode = node.builder, node.string("mode")
    if mode not in ("TF", "IDF", "TFIDF"):
        raise node.invalid(f"mode is {mode!r}, not TF, IDF or TFIDF")
    if mode == "TF":
        return counts
    if mode == "IDF":
        counts = builder.one("minimum", (counts, full_like(builder, counts, 1)))
    if not node.given("weights"):
        return counts
    weights = np.array(node.numbers("weights"), np.float32)
    if len(weights) != counts.shape[1]:
        raise node.invalid(f"{len(weights)} weights for {counts.shape[1]} n-grams")
    spread = broadcast_to(builder, builder.constant(weights), counts.shape)
    return builder.one("multiply", (counts, spread))


LOWERINGS = (Lowering("TfIdfVectorizer", _vectorized, 9),)
