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
    return drawn_candidates(
        kind, true_classes, num_true, num_sampled, unique, range_max, seed, name
    )


def uniform_candidate_sampler(
    true_classes: object, num_true: int, num_sampled: int, unique: bool, range_max: int,
    seed: int | None = None, name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes drawn with equal probabilities."""
    kind = "UniformCandidateSampler"
    return drawn_candidates(
        kind, true_classes, num_true, num_sampled, unique, range_max, seed, name
    )


def drawn_candidates(
    kind: str, true_classes: object, num_true: int, num_sampled: int, unique: bool,
    range_max: int, seed: int | None, name: str | None, **more: object,
) -> Candidates:  # fmt: skip
    """The outputs of a sampler of that kind; ValueError for more classes than there are."""
    if unique and num_sampled > range_max:
        raise ValueError(
            f"cannot draw {num_sampled} different classes out of {range_max}; make num_sampled "
            "smaller or unique false"
        )
    first, second = get_seed(seed)
    attributes = {
        "num_true": num_true, "num_sampled": num_sampled, "unique": unique,
        "range_max": range_max, "seed": first, "seed2": second, **more,
    }  # fmt: skip
    return Candidates(*apply_op(kind, (true_classes,), name, attributes).outputs)


def infer_candidates(op: Operation) -> Sequence[Result]:
    """Classes drawn, expected counts of the true ones, expected counts of those drawn."""
    count = op.integer("num_sampled")
    return [
        (dtypes.int64, (count,)), (dtypes.float32, op.inputs[0].sizes), (dtypes.float32, (count,)),
    ]  # fmt: skip


class Words:
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

    def short_float(self) -> float:
        """A float in [0, 1) of 23 bits."""
        return (self.word() & 0x7FFFFF) / 2.0**23

    def below_word(self, count: int) -> int:
        """An integer in [0, count) from single words, as `below`."""
        if count & (count - 1) == 0:
            return self.word() & (count - 1)
        rest = ((2**32 - 1) % count) + 1
        while (drawn := self.word()) < rest:
            continue
        return drawn % count

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


Draw = Callable[[Words], int]
Chance = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def sample(
    context: HostContext, op: Operation, arrays: Sequence[Array], draw: Draw, chance: Chance
) -> Sequence[Array]:
    """Classes drawn until there are enough (different ones, if `unique`), and expected counts."""
    truth = true_classes_of(op, arrays)
    count, state = op.integer("num_sampled"), context.store.random_state(op)
    source = Words(state, _WORDS * count)
    found: dict[int, None] = {}
    listed: list[int] = []
    tries = 0
    while len(listed) < count:
        tries += 1
        value = draw(source)
        if op.flag("unique") and value in found:
            continue
        found[value] = None
        listed.append(value)
    advance(state, _WORDS * count // 4)
    sampled = np.array(listed, np.int64)

    def expected(classes: NDArray[np.int64]) -> Array:
        # Rounded to float32 at each step, as TensorFlow's is.
        p = chance(classes).astype(np.float32)
        if tries == count:
            return np.asarray(p * np.float32(count))
        none = np.log1p(-p.astype(np.float64)).astype(np.float32) * np.float32(tries)
        return np.asarray(-np.expm1(none.astype(np.float64)), np.float32)

    return [sampled, expected(truth), expected(sampled)]


def true_classes_of(op: Operation, arrays: Sequence[Array]) -> NDArray[np.int64]:
    """The true classes; InvalidArgumentError unless there are `num_true` in each row."""
    truth = arrays[0].astype(np.int64)
    if truth.shape[-1] != op.integer("num_true"):
        raise InvalidArgumentError(
            op.name, op, "true_classes must have num_true columns, expected: "
            f"{op.integer('num_true')} was: {truth.shape[-1]}",
        )  # fmt: skip
    return truth


def _log_uniform(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    limit = op.integer("range_max")

    def draw(source: Words) -> int:
        return (int(math.exp(source.double() * math.log1p(limit))) - 1) % limit

    def chance(classes: NDArray[np.int64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.log((classes + 2.0) / (classes + 1.0)) / math.log1p(limit)
        return found

    return sample(context, op, arrays, draw, chance)


def _uniform(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    limit = op.integer("range_max")

    def chance(classes: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.full(classes.shape, 1.0 / limit)

    return sample(context, op, arrays, lambda source: source.below(limit), chance)


register(
    OpKind("LogUniformCandidateSampler", "true_classes:int64", infer_candidates, host_only,
           host=_log_uniform, differentiable=False),
    OpKind("UniformCandidateSampler", "true_classes:int64", infer_candidates, host_only,
           host=_uniform, differentiable=False),
)  # fmt: skip
