"""What a decoder is given at each step: the next inputs, and when a sequence has ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.embedding import embedding_lookup
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_random_stateless import multinomial
from tensorkiln.frontends.graph.ops_reduce import argmax
from tensorkiln.frontends.graph.ops_shape import reshape
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray


class Helper(ABC):
    """Chooses a decoder's inputs.  `steps` is the most steps that there can be, if it is known."""

    steps: object = None

    @property
    @abstractmethod
    def batch_size(self) -> Tensor:
        """The number of sequences, an int32 scalar."""

    @abstractmethod
    def initialize(self) -> tuple[Tensor, Tensor]:
        """Which sequences are empty, and the first inputs."""

    def sample(self, time: Tensor, outputs: Tensor, state: object) -> Tensor:
        """The number of the class that each output stands for."""
        return cast(argmax(outputs, -1), dtypes.int32)

    @abstractmethod
    def next_inputs(
        self, time: Tensor, outputs: Tensor, state: object, sample_ids: Tensor
    ) -> tuple[Tensor, Tensor, object]:
        """Which sequences have ended, the next inputs and the next state."""


class TrainingHelper(Helper):
    """Reads the inputs from a tensor, [batch, time, ...] or time first."""

    def __init__(
        self, inputs: object, sequence_length: object, time_major: bool = False,
        name: str | None = None,
    ) -> None:  # fmt: skip
        with name_scope(name, "TrainingHelper", [inputs, sequence_length]):
            rows = convert_to_tensor(inputs, name="inputs")
            if not time_major:
                order = [1, 0, *range(2, len(rows.sizes or ()))]
                rows = make("Transpose", (rows, order))
            self._lengths = convert_to_tensor(sequence_length, name="sequence_length")
            if self._lengths.shape.ndims not in (None, 1):
                raise ValueError(
                    "Expected sequence_length to be a vector, but received shape: "
                    f"{self._lengths.shape}"
                )
            known = None if rows.sizes is None else rows.sizes[0]
            shape = make("Shape", (rows,), out_type=dtypes.int32)
            self.steps = shape[0] if known is None else known
            array = TensorArray(rows.dtype.base_dtype, self.steps)
            self._rows, self._sizes = array.unstack(rows), (rows.sizes or (None,))[1:]

    @property
    def batch_size(self) -> Tensor:
        """See Helper."""
        return make("Size", (self._lengths,), out_type=dtypes.int32)

    def initialize(self) -> tuple[Tensor, Tensor]:
        """See Helper."""
        return make("LessEqual", (self._lengths, 0)), self._read(convert_to_tensor(0))

    def next_inputs(
        self, time: Tensor, outputs: Tensor, state: object, sample_ids: Tensor
    ) -> tuple[Tensor, Tensor, object]:
        """See Helper."""
        after = time + 1
        done = make("GreaterEqual", (cast(after, self._lengths.dtype.base_dtype), self._lengths))
        return done, self._read(after), state

    def _read(self, time: Tensor) -> Tensor:
        row = self._rows.read(time)
        row.set_shape(self._sizes)
        return row


def embedder(embedding: object) -> Callable[[Tensor], Tensor]:
    """The function of ids that `embedding` is, or the rows of a table for them."""
    if callable(embedding) and not hasattr(embedding, "dtype"):
        function: Callable[[Tensor], Tensor] = embedding
        return function
    return lambda ids: embedding_lookup(embedding, ids)


def start_and_end(start_tokens: object, end_token: object) -> tuple[Tensor, Tensor]:
    """The first ids, a vector, and the id that ends a sequence, a scalar; ValueError if not so."""
    start = convert_to_tensor(start_tokens, dtypes.int32, "start_tokens")
    end = convert_to_tensor(end_token, dtypes.int32, "end_token")
    if start.shape.ndims != 1:
        raise ValueError("start_tokens must be a vector")
    if end.shape.ndims != 0:
        raise ValueError("end_token must be a scalar")
    return start, end


class GreedyEmbeddingHelper(Helper):
    """Takes the best class of each output, embedded, as the next input, until `end_token`."""

    def __init__(self, embedding: object, start_tokens: object, end_token: object) -> None:
        self._embed = embedder(embedding)
        self._start, self._end = start_and_end(start_tokens, end_token)

    @property
    def batch_size(self) -> Tensor:
        """See Helper."""
        return make("Size", (self._start,), out_type=dtypes.int32)

    def initialize(self) -> tuple[Tensor, Tensor]:
        """See Helper."""
        never = make("NotEqual", (self._start, self._start))
        return never, self._embed(self._start)

    def next_inputs(
        self, time: Tensor, outputs: Tensor, state: object, sample_ids: Tensor
    ) -> tuple[Tensor, Tensor, object]:
        """See Helper."""
        return make("Equal", (sample_ids, self._end)), self._embed(sample_ids), state


class SampleEmbeddingHelper(GreedyEmbeddingHelper):
    """Draws the next class by the softmax of each output (divided by a temperature)."""

    def __init__(
        self, embedding: object, start_tokens: object, end_token: object,
        softmax_temperature: object = None, seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(embedding, start_tokens, end_token)
        self._temperature, self._seed = softmax_temperature, seed

    def sample(self, time: Tensor, outputs: Tensor, state: object) -> Tensor:
        """See Helper."""
        logits = outputs if self._temperature is None else outputs / self._temperature
        return reshape(multinomial(logits, 1, self._seed, output_dtype=dtypes.int32), [-1])
