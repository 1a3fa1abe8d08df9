"""Beam search: the best few ways on are kept at each step.

Scores are divided by the length penalty of Wu et al.: Google's Neural Machine Translation System
(2016), equation 14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from typing import cast as typed

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.nest import flatten, map_structure
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_activation import log_softmax
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_gather import gather
from tensorkiln.frontends.graph.ops_reduce import reduce_max
from tensorkiln.frontends.graph.ops_select import where_v2
from tensorkiln.frontends.graph.ops_shape import expand_dims
from tensorkiln.frontends.graph.ops_sort import top_k
from tensorkiln.frontends.graph.rnn import check_cell
from tensorkiln.frontends.graph.rnn_cells import RNNCell
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.seq2seq_decoder import Decoder
from tensorkiln.frontends.graph.seq2seq_helpers import embedder, start_and_end
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray


class BeamSearchDecoderState(NamedTuple):
    """The cell's state and, for each beam, [batch, beam]: log probability, end and length."""

    cell_state: object
    log_probs: Tensor
    finished: Tensor
    lengths: Tensor
    accumulated_attention_probs: object = ()


class BeamSearchDecoderOutput(NamedTuple):
    """For each beam of a step, [batch, beam]: its score, its class and the beam it comes from."""

    scores: object
    predicted_ids: object
    parent_ids: object


class FinalBeamSearchDecoderOutput(NamedTuple):
    """The classes along the way of each beam, the best first, and the outputs of the steps."""

    predicted_ids: object
    beam_search_decoder_output: BeamSearchDecoderOutput


def tile_batch(t: object, multiplier: int, name: str | None = None) -> object:
    """Each row of the tensors in `t` repeated `multiplier` times, one behind the other."""
    with name_scope(name, "tile_batch", [*flatten(t), multiplier]):
        return map_structure(lambda x: _tiled(convert_to_tensor(x), multiplier), t)


def _tiled(x: Tensor, count: int) -> Tensor:
    if x.shape.ndims is None:
        raise ValueError("t must have statically known rank")
    if not x.sizes:
        return x
    rank = len(x.sizes)
    repeated = make("Tile", (expand_dims(x, 1), [1, count] + [1] * (rank - 1)))
    return _merged(repeated, None if x.sizes[0] is None else x.sizes[0] * count)


def _merged(x: Tensor, first: int | None) -> Tensor:
    """The first two dims as one."""
    tail = (x.sizes or ())[2:]
    if None not in tail:
        return make("Reshape", (x, [-1 if first is None else first, *tail]))
    shape = make("Shape", (x,), out_type=dtypes.int32)
    return make("Reshape", (x, make("ConcatV2", ([[-1], shape[2:]], 0))))


class BeamSearchDecoder(Decoder):
    """Keeps the `beam_width` best ways through a cell, whose state is that of `tile_batch`.

    `embedding` is a table or a function of classes; `initial_state` has batch * beam_width rows.
    A beam that has ended goes on with `end_token` and keeps its probability.
    """

    def __init__(
        self, cell: RNNCell, embedding: object, start_tokens: object, end_token: object,
        initial_state: object, beam_width: int, output_layer: Callable[[Tensor], Tensor] | None = None,
        length_penalty_weight: float = 0.0, coverage_penalty_weight: float = 0.0,
        reorder_tensor_arrays: bool = True,
    ) -> None:  # fmt: skip
        check_cell(cell)
        if output_layer is not None and not callable(output_layer):
            raise TypeError(f"output_layer must be a layer, received: {type(output_layer)}")
        if coverage_penalty_weight:
            raise ValueError(
                "BeamSearchDecoder: coverage_penalty_weight is not there; use length_penalty_weight"
            )
        self._cell, self._layer, self._width = cell, output_layer, beam_width
        self._embed = embedder(embedding)
        self._start, self._end = start_and_end(start_tokens, end_token)
        self._penalty = length_penalty_weight
        self._batch = None if self._start.sizes is None else self._start.sizes[0]
        if any(isinstance(leaf, TensorArray) for leaf in flatten(initial_state)):
            raise ValueError(
                "BeamSearchDecoder: beams change places, so a state cannot have a TensorArray; leave "
                "out alignment_history"
            )
        self._state = map_structure(self._split, initial_state)

    @property
    def batch_size(self) -> Tensor:
        """The number of sequences, an int32 scalar."""
        return make("Size", (self._start,), out_type=dtypes.int32)

    @property
    def tracks_own_finished(self) -> bool:
        """True: beams change places."""
        return True

    def _split(self, value: object) -> object:
        """A tensor of rows for all beams as [batch, beam, ...]; scalars as they are."""
        tensor = convert_to_tensor(value)
        if not tensor.sizes:
            return tensor
        known = self._batch
        wanted = None if known is None else known * self._width
        if tensor.sizes[0] is not None and wanted not in (None, tensor.sizes[0]):
            raise ValueError(
                f"a state of BeamSearchDecoder has {tensor.sizes[0]} rows, not {wanted}: the batch "
                "times beam_width; pass it through tf.contrib.seq2seq.tile_batch"
            )
        tail = tensor.sizes[1:]
        return make("Reshape", (tensor, [-1 if known is None else known, self._width, *tail]))

    def _joined(self, value: object) -> object:
        """[batch, beam, ...] as rows for all beams."""
        tensor = convert_to_tensor(value)
        if not tensor.sizes:
            return tensor
        return _merged(tensor, None if self._batch is None else self._batch * self._width)

    def initialize(self, name: str | None = None) -> tuple[Tensor, object, object]:
        """See Decoder."""
        with name_scope(name, "BeamSearchDecoderInitialize"):
            count = make("Pack", ([self.batch_size, self._width],), axis=0)
            starts = make("BroadcastTo", (expand_dims(self._start, 1), count))
            if self._batch is not None:
                starts.set_shape([self._batch, self._width])
            never = make("NotEqual", (starts, starts))
            dtype = base(typed(Tensor, flatten(self._state)[0]))
            # All beams are alike at first, so that only one may go on.
            first = np.where(np.arange(self._width) == 0, 0.0, -np.inf)
            chances = make("ZerosLike", (starts,), dtype=dtypes.int32)
            log_probs = cast(chances, dtype) + convert_to_tensor(first, dtype)
            state = BeamSearchDecoderState(
                self._state, log_probs, never, cast(chances, dtypes.int64)
            )
            return never, self._embed(starts), state

    def step(
        self, time: Tensor, inputs: object, state: object, name: str | None = None
    ) -> tuple[object, object, object, Tensor]:
        """See Decoder."""
        assert isinstance(state, BeamSearchDecoderState)
        with name_scope(name, "BeamSearchDecoderStep", [time]):
            given = typed(Tensor, map_structure(self._joined, inputs))
            found, after = self._cell(given, map_structure(self._joined, state.cell_state))
            logits = convert_to_tensor(found)
            if self._layer is not None:
                logits = self._layer(logits)
            scores = typed(Tensor, self._split(logits))
            cell_state = map_structure(self._split, after)
            output, following = self._search(scores, cell_state, state)
            return output, following, self._embed(typed(Tensor, output.predicted_ids)), (
                following.finished
            )  # fmt: skip

    def _search(
        self, logits: Tensor, cell_state: object, state: BeamSearchDecoderState
    ) -> tuple[BeamSearchDecoderOutput, BeamSearchDecoderState]:
        classes = (logits.sizes or (None,))[-1]
        if classes is None:
            raise ValueError("BeamSearchDecoder needs a known number of classes")
        dtype = base(logits)
        logs = log_softmax(logits)
        numbers = np.arange(classes, dtype=np.int32)
        is_end = make("Equal", (numbers, self._end))
        lowest = convert_to_tensor(float(np.finfo(dtype.as_numpy_dtype).min), dtype)
        ended_logs = where_v2(is_end, convert_to_tensor(0.0, dtype), lowest)
        ended = expand_dims(state.finished, 2)
        total = expand_dims(state.log_probs, 2) + where_v2(ended, ended_logs, logs)
        scores = total
        if self._penalty:
            more = make("LogicalNot", (make("LogicalOr", (ended, is_end)),))
            longer = expand_dims(state.lengths, 2) + cast(more, dtypes.int64)
            penalty = make("Pow", ((cast(longer, dtype) + 5.0) / 6.0, self._penalty))
            scores = total / penalty
        rows = self._batch if self._batch is not None else -1
        flat = make("Reshape", (scores, [rows, self._width * classes]))
        best, places = top_k(flat, self._width)
        words, parents = places % classes, places // classes
        log_probs = gather(make("Reshape", (total, [rows, self._width * classes])), places,
                           axis=1, batch_dims=1)  # fmt: skip
        was_finished = self._of_parents(state.finished, parents)
        lengths = self._of_parents(state.lengths, parents)
        lengths = lengths + cast(make("LogicalNot", (was_finished,)), dtypes.int64)
        finished = make("LogicalOr", (was_finished, make("Equal", (words, self._end))))
        moved = map_structure(lambda t: self._of_parents(t, parents), cell_state)
        following = BeamSearchDecoderState(moved, log_probs, finished, lengths)
        return BeamSearchDecoderOutput(best, words, parents), following

    def _of_parents(self, value: object, parents: Tensor) -> Tensor:
        tensor = convert_to_tensor(value)
        return tensor if not tensor.sizes else gather(tensor, parents, axis=1, batch_dims=1)

    def finalize(
        self, outputs: object, final_state: object, sequence_lengths: Tensor
    ) -> tuple[object, object]:
        """See Decoder."""
        assert isinstance(outputs, BeamSearchDecoderOutput)
        assert isinstance(final_state, BeamSearchDecoderState)
        longest = cast(reduce_max(final_state.lengths, 1), dtypes.int32)
        ids = gather_tree(outputs.predicted_ids, outputs.parent_ids, longest, self._end)
        return FinalBeamSearchDecoderOutput(ids, outputs), final_state


def gather_tree(
    step_ids: object, parent_ids: object, max_sequence_lengths: object, end_token: object,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The classes along the way to each beam of the last step, [time, batch, beam].

    After a sequence's `end_token` and beyond its batch's length there are only end tokens.
    """
    return make("GatherTree", (step_ids, parent_ids, max_sequence_lengths, end_token), name)


def _tree_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), op.inputs[0].sizes)]


def _tree(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    ids, parents, longest, end = arrays
    steps, batch, width = ids.shape
    found = np.full_like(ids, end)
    rows = np.arange(batch)[:, None]
    beam = np.broadcast_to(np.arange(width), (batch, width))
    for time in range(steps - 1, -1, -1):
        inside = (longest.astype(np.int64) > time)[:, None]
        found[time] = np.where(inside, ids[time][rows, beam], end)
        beam = np.where(inside, parents[time][rows, beam], beam)
    ended = np.cumsum(found == end, 0) > 0
    return [np.where(ended, end, found).astype(ids.dtype)]


register(
    OpKind("GatherTree", "step_ids:T parent_ids:T max_sequence_lengths:int32 end_token:T",
           _tree_infer, host_only, {"T": (dtypes.int32,)}, host=_tree, differentiable=False),
)  # fmt: skip
