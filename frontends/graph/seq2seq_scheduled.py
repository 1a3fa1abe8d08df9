"""Scheduled sampling: training whose decoder is now and then given what it said itself.

Bengio, Vinyals, Jaitly, Shazeer: Scheduled Sampling for Sequence Prediction (2015).
"""

from __future__ import annotations

from collections.abc import Callable

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.ops_join import concat
from tensorkiln.frontends.graph.ops_random import random_uniform
from tensorkiln.frontends.graph.ops_random_stateless import multinomial
from tensorkiln.frontends.graph.ops_select import where
from tensorkiln.frontends.graph.ops_shape import reshape
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.seq2seq_helpers import TrainingHelper, embedder
from tensorkiln.frontends.graph.tensor import Tensor


def _probability(value: object) -> Tensor:
    found = convert_to_tensor(value, name="sampling_probability")
    if found.shape.ndims not in (0, 1):
        raise ValueError(
            f"sampling_probability must be either a scalar or a vector. saw shape: {found.shape}"
        )
    return found


class ScheduledEmbeddingTrainingHelper(TrainingHelper):
    """`TrainingHelper` that takes, with `sampling_probability`, the embedding of a class drawn by
    the softmax of the output instead of the next input; samples are -1 where it does not."""

    def __init__(
        self, inputs: object, sequence_length: object, embedding: object,
        sampling_probability: object, time_major: bool = False, seed: int | None = None,
        scheduling_seed: int | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        with name_scope(name, "ScheduledEmbeddingSamplingWrapper", [sampling_probability]):
            self._embed, self._chance = embedder(embedding), _probability(sampling_probability)
            self._seed, self._scheduling_seed = seed, scheduling_seed
            super().__init__(inputs, sequence_length, time_major, name)

    def sample(self, time: Tensor, outputs: Tensor, state: object) -> Tensor:
        """See Helper."""
        drawn = reshape(multinomial(outputs, 1, self._seed, output_dtype=dtypes.int32), [-1])
        chosen = _chosen(self.batch_size, self._chance, self._scheduling_seed)
        return where(chosen, drawn, make("ZerosLike", (drawn,), dtype=dtypes.int32) - 1)

    def next_inputs(
        self, time: Tensor, outputs: Tensor, state: object, sample_ids: Tensor
    ) -> tuple[Tensor, Tensor, object]:
        """See Helper."""
        done, given, state = super().next_inputs(time, outputs, state, sample_ids)
        said = self._embed(make("Maximum", (sample_ids, 0)))
        return done, where(make("GreaterEqual", (sample_ids, 0)), said, given), state


class ScheduledOutputTrainingHelper(TrainingHelper):
    """`TrainingHelper` that takes, with `sampling_probability`, the output before instead of the
    next input, through `next_inputs_fn` and with `auxiliary_inputs` at its end if given.

    Samples are 1 where it does, 0 where not.
    """

    def __init__(
        self, inputs: object, sequence_length: object, sampling_probability: object,
        time_major: bool = False, seed: int | None = None,
        next_inputs_fn: Callable[[Tensor], Tensor] | None = None, auxiliary_inputs: object = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        with name_scope(name, "ScheduledOutputTrainingHelper", [sampling_probability]):
            self._chance, self._seed = _probability(sampling_probability), seed
            self._through = next_inputs_fn
            self._more: TrainingHelper | None = None
            if auxiliary_inputs is not None:
                self._more = TrainingHelper(auxiliary_inputs, sequence_length, time_major)
                inputs = concat([inputs, auxiliary_inputs], -1)
            super().__init__(inputs, sequence_length, time_major, name)

    def sample(self, time: Tensor, outputs: Tensor, state: object) -> Tensor:
        """See Helper."""
        chosen = _chosen(self.batch_size, self._chance, self._seed)
        return make("Cast", (chosen,), "Cast", DstT=dtypes.int32)

    def next_inputs(
        self, time: Tensor, outputs: Tensor, state: object, sample_ids: Tensor
    ) -> tuple[Tensor, Tensor, object]:
        """See Helper."""
        done, given, state = super().next_inputs(time, outputs, state, sample_ids)
        said = outputs if self._through is None else self._through(outputs)
        if self._more is not None:
            _, more, _ = self._more.next_inputs(time, outputs, state, sample_ids)
            said = concat([said, more], -1)
        return done, where(make("Equal", (sample_ids, 1)), said, given), state


def _chosen(count: Tensor, chance: Tensor, seed: int | None) -> Tensor:
    """For each sequence whether it takes what was said."""
    drawn = random_uniform(make("ExpandDims", (count, 0)), seed=seed, dtype=chance.dtype.base_dtype)
    return make("Less", (drawn, chance))
