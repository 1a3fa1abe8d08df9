"""Candidate samplers whose classes have frequencies of their own, given or learned; and hits.

The numbers are TensorFlow's for the same seeds.  Method: Walker's alias tables (Walker: New fast
method for generating discrete random numbers with arbitrary frequency distributions, 1974).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import cast as typed

import numpy as np
from numpy.typing import NDArray

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.candidate_sampling import (
    Candidates,
    Words,
    drawn_candidates,
    infer_candidates,
    sample,
    true_classes_of,
)
from tensorkiln.frontends.graph.errors import InvalidArgumentError, NotFoundError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.tensor import Tensor


def fixed_unigram_candidate_sampler(
    true_classes: object, num_true: int, num_sampled: int, unique: bool, range_max: int,
    vocab_file: str = "", distortion: float = 1.0, num_reserved_ids: int = 0, num_shards: int = 1,
    shard: int = 0, unigrams: Sequence[float] = (), seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes drawn with probabilities proportional to given counts to the power `distortion`.

    The counts are `unigrams`, or the last fields of the lines of `vocab_file`; `num_reserved_ids`
    classes before them are never drawn.  Of several shards each counts every so-manyth line.
    """
    if bool(vocab_file) == bool(len(unigrams)):
        raise ValueError("Must provide either vocab_file or unigrams, and not both.")
    return drawn_candidates(
        "FixedUnigramCandidateSampler", true_classes, num_true, num_sampled, unique, range_max,
        seed, name, vocab_file=vocab_file, distortion=float(distortion),
        num_reserved_ids=num_reserved_ids, num_shards=num_shards, shard=shard,
        unigrams=tuple(float(count) for count in unigrams),
    )  # fmt: skip


def learned_unigram_candidate_sampler(
    true_classes: object, num_true: int, num_sampled: int, unique: bool, range_max: int,
    seed: int | None = None, name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes drawn as often as they were true in the runs before, each once more."""
    return drawn_candidates(
        "LearnedUnigramCandidateSampler", true_classes, num_true, num_sampled, unique, range_max,
        seed, name,
    )  # fmt: skip


def all_candidate_sampler(
    true_classes: object, num_true: int, num_sampled: int, unique: bool, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """All classes from 0 to `num_sampled`, each expected once."""
    return drawn_candidates(
        "AllCandidateSampler", true_classes, num_true, num_sampled, unique, num_sampled, seed, name
    )


def compute_accidental_hits(
    true_classes: object, sampled_candidates: object, num_true: int, seed: int | None = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Where classes drawn are true ones: rows, places among those drawn, and the weight, the
    least float32, that takes them out of a softmax."""
    made = apply_op(
        "ComputeAccidentalHits", (true_classes, sampled_candidates), name, {"num_true": num_true}
    )
    rows, places, weights = made.outputs
    return rows, places, weights


class Alias:
    """A table from which a class is drawn with two random numbers."""

    def __init__(self, weights: NDArray[np.float32]) -> None:
        count = len(weights)
        share = weights.astype(np.float64) * count / weights.astype(np.float64).sum()
        self._other = np.arange(count)
        low = [k for k in range(count) if share[k] < 1]
        high = [k for k in range(count) if share[k] >= 1]
        while high and low:
            small, large = low.pop(), high.pop()
            self._other[small] = large
            share[large] -= 1.0 - share[small]
            (low if share[large] < 1 else high).append(large)
        share[[*low, *high]] = 1.0
        self._share = share.astype(np.float32)

    def draw(self, source: Words) -> int:
        """A class."""
        level = source.short_float()
        place = source.below_word(len(self._share))
        return place if level < self._share[place] else int(self._other[place])


def _counts(op: Operation) -> list[float]:
    """The counts that an op is given."""
    given = op.attributes["unigrams"]
    if given:
        assert isinstance(given, tuple | list)
        return [float(count) for count in given]
    path = Path(op.text("vocab_file"))
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [float(row[-1]) for row in csv.reader(file) if row]
    except FileNotFoundError:
        raise NotFoundError(op.name, op, f"{path}; No such file or directory") from None
    except ValueError as error:
        raise InvalidArgumentError(op.name, op, f"{path}: a line's last field: {error}") from None


def _fixed(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    key = ("unigrams", op)
    if key not in context.resources:
        power, shards = float(op.attributes["distortion"]), op.integer("num_shards")  # type: ignore[arg-type]
        reserved = op.integer("num_reserved_ids")
        weights = [0.0] * len(range(op.integer("shard"), reserved, shards))
        for number, count in enumerate(_counts(op), reserved):
            if number % shards == op.integer("shard"):
                weights.append(count**power)
        if len(weights) != op.integer("range_max"):
            raise InvalidArgumentError(
                op.name, op, f"range_max is {op.integer('range_max')} instead of {len(weights)}, "
                "the number of classes",
            )  # fmt: skip
        table = np.array(weights, np.float32)
        # Added up one by one in float32, as in TensorFlow.
        total = np.cumsum(table, dtype=np.float32)[-1:]
        context.resources[key] = ((table / total).astype(np.float64), Alias(table))
    chances, alias = typed("tuple[NDArray[np.float64], Alias]", context.resources[key])
    return sample(context, op, arrays, alias.draw, lambda classes: chances[classes])


def _learned(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    key = ("unigrams", op)
    counts = context.resources.setdefault(key, np.ones(op.integer("range_max"), np.int64))
    assert isinstance(counts, np.ndarray)
    total = np.cumsum(counts)

    def draw(source: Words) -> int:
        return int(np.searchsorted(total, source.below_word(int(total[-1])), "right"))

    found = sample(context, op, arrays, draw, lambda classes: counts[classes] / total[-1])
    np.add.at(counts, arrays[0].reshape(-1).astype(np.int64), 1)
    return found


def _all(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    truth, count = true_classes_of(op, arrays), op.integer("num_sampled")
    return [
        np.arange(count), np.ones(truth.shape, np.float32), np.ones(count, np.float32)
    ]  # fmt: skip


def _hits(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    place = {value: k for k, value in enumerate(arrays[1].tolist())}
    found = [
        (row, place[value])
        for row, values in enumerate(true_classes_of(op, arrays).tolist())
        for value in values
        if value in place
    ]
    rows, places = np.array(found, np.int64).reshape(-1, 2).T
    least = np.full(len(found), np.finfo(np.float32).min, np.float32)
    return [rows.astype(np.int32), places, least]


def _hits_infer(op: Operation) -> Sequence[Result]:
    return [(dtypes.int32, (None,)), (dtypes.int64, (None,)), (dtypes.float32, (None,))]


register(
    OpKind("FixedUnigramCandidateSampler", "true_classes:int64", infer_candidates, host_only,
           host=_fixed, differentiable=False),
    OpKind("LearnedUnigramCandidateSampler", "true_classes:int64", infer_candidates, host_only,
           host=_learned, differentiable=False),
    OpKind("AllCandidateSampler", "true_classes:int64", infer_candidates, host_only, host=_all,
           differentiable=False),
    OpKind("ComputeAccidentalHits", "true_classes:int64 sampled_candidates:int64", _hits_infer,
           host_only, host=_hits, differentiable=False),
)  # fmt: skip
