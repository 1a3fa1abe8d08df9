"""Classes drawn to stand for all others in a loss, and how often each is expected.

The numbers are TensorFlow's for the same seeds.  Expected counts: its public page on candidate
sampling; Jean, Cho, Memisevic, Bengio: On Using Very Large Target Vocabulary (2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_random import get_seed
from tensorkiln.frontends.graph.streams import advance, words
from tensorkiln.frontends.graph.tensor import Tensor

_WORDS = 2048  # set aside for each class drawn


class Candidates(NamedTuple):
    """Classes drawn, and the expected counts of the true classes and of those drawn."""

    sampled_candidates: Tensor
    true_expected_count: Tensor
    sampled_expected_count: Tensor


def log_uniform_candidate_sampler(
    true_classes: object, num_true: int, num_sampled: int, unique: bool, range_max: int,
    seed: int | None = None, name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes drawn by Zipf's law: k with probability log((k + 2) / (k + 1)) / log(range + 1)."""
    kind = "LogUniformCandidateSampler"
    return _drawn(kind, true_classes, num_true, num_sampled, unique, range_max, seed, name)


def uniform_candidate_sampler(
    true_classes: object, num_true: int, num_sampled: int, unique: bool, range_max: int,
    seed: int | None = None, name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes drawn with equal probabilities."""
    kind = "UniformCandidateSampler"
    return _drawn(kind, true_classes, num_true, num_sampled, unique, range_max, seed, name)


def _drawn(
    kind: str, true_classes: object, num_true: int, num_sampled: int, unique: bool,
    range_max: int, seed: int | None, name: str | None,
) -> Candidates:  # fmt: skip
    if unique and num_sampled > range_max:
        raise ValueError(
            f"cannot draw {num_sampled} different classes out of {range_max}; make num_sampled "
            "smaller or unique false"
        )
    first, second = get_seed(seed)
    attributes = {
        "num_true": num_true, "num_sampled": num_sampled, "unique": unique,
        "range_max": range_max, "seed": first, "seed2": second,
    }  # fmt: skip
    return Candidates(*apply_op(kind, (true_classes,), name, attributes).outputs)


def _infer(op: Operation) -> Sequence[Result]:
    count = op.integer("num_sampled")
    return [
        (dtypes.int64, (count,)), (dtypes.float32, op.inputs[0].sizes), (dtypes.float32, (count,)),
    ]  # fmt: skip


class _Words:
    """The words of one run of a sampler, one after the other."""

    def __init__(self, state: Array, count: int) -> None:
        self._state, self._limit = state, count
        self._words = words(state, min(count, 4096)).tolist()
        self._next = 0

    def word(self) -> int:
        """The next 32 bits."""
        if self._next == len(self._words):
            self._words = words(self._state, min(2 * self._next, self._limit)).tolist()
        self._next += 1
        return int(self._words[self._next - 1])

    def double(self) -> float:
        """A float in [0, 1) of 52 bits."""
        high, low = self.word(), self.word()
        return float((((high & 0xFFFFF) << 32) | low) / 2.0**52)

    def below(self, count: int) -> int:
        """An integer in [0, count), each as likely: remainders that would favour some are drawn
        again."""
        if count & (count - 1) == 0:
            return self._wide() & (count - 1)
        rest = ((2**64 - 1) % count) + 1
        while (drawn := self._wide()) < rest:
            continue
        return drawn % count

    def _wide(self) -> int:
        low, high = self.word(), self.word()
        return low | high << 32


Draw = Callable[[_Words, int], int]
Chance = Callable[[NDArray[np.int64], int], NDArray[np.float64]]


def _log_uniform(source: _Words, limit: int) -> int:
    return (int(math.exp(source.double() * math.log1p(limit))) - 1) % limit


def _log_uniform_chance(classes: NDArray[np.int64], limit: int) -> NDArray[np.float64]:
    chance: NDArray[np.float64] = np.log((classes + 2.0) / (classes + 1.0)) / math.log1p(limit)
    return chance


def _uniform_chance(classes: NDArray[np.int64], limit: int) -> NDArray[np.float64]:
    return np.full(classes.shape, 1.0 / limit)


def _sampler(draw: Draw, chance: Chance) -> Callable[..., Sequence[Array]]:
    def host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
        truth, limit = arrays[0].astype(np.int64), op.integer("range_max")
        if truth.shape[-1] != op.integer("num_true"):
            raise InvalidArgumentError(
                op.name, op, "true_classes must have num_true columns, expected: "
                f"{op.integer('num_true')} was: {truth.shape[-1]}",
            )  # fmt: skip
        count, state = op.integer("num_sampled"), context.store.random_state(op)
        source = _Words(state, _WORDS * count)
        found: dict[int, None] = {}
        listed: list[int] = []
        tries = 0
        while len(listed) < count:
            tries += 1
            value = draw(source, limit)
            if op.flag("unique") and value in found:
                continue
            found[value] = None
            listed.append(value)
        advance(state, _WORDS * count // 4)
        sampled = np.array(listed, np.int64)

        def expected(classes: NDArray[np.int64]) -> Array:
            p = chance(classes, limit)
            many = p * count if tries == count else -np.expm1(tries * np.log1p(-p))
            return many.astype(np.float32)

        return [sampled, expected(truth), expected(sampled)]

    return host


register(
    OpKind("LogUniformCandidateSampler", "true_classes:int64", _infer, host_only,
           host=_sampler(_log_uniform, _log_uniform_chance), differentiable=False),
    OpKind("UniformCandidateSampler", "true_classes:int64", _infer, host_only,
           host=_sampler(_Words.below, _uniform_chance), differentiable=False),
)  # fmt: skip
