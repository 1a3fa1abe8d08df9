"""Decoders: a cell, its outputs and what it is given next, run in a loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any
from typing import cast as typed

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.control_flow import while_loop
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.nest import flatten, map_structure, pack_sequence_as
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_loss import sparse_softmax_cross_entropy_with_logits
from tensorkiln.frontends.graph.ops_reduce import reduce_all, reduce_sum
from tensorkiln.frontends.graph.ops_select import where
from tensorkiln.frontends.graph.ops_shape import reshape
from tensorkiln.frontends.graph.rnn import zeros_of
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray
from tensorkiln.frontends.graph.variable_scope import VariableScope, variable_scope


class Decoder(ABC):
    """What `dynamic_decode` steps through: outputs, a state and inputs, each a structure."""

    @property
    @abstractmethod
    def batch_size(self) -> Tensor:
        """The number of sequences, an int32 scalar."""

    @property
    def steps(self) -> object:
        """The most steps that there can be, if that is known."""
        return None

    @property
    def tracks_own_finished(self) -> bool:
        """True if a sequence that has ended can go on, as where beams change places."""
        return False

    @abstractmethod
    def initialize(self, name: str | None = None) -> tuple[Tensor, object, object]:
        """Which sequences are empty, the first inputs and the first state."""

    @abstractmethod
    def step(
        self, time: Tensor, inputs: object, state: object, name: str | None = None
    ) -> tuple[object, object, object, Tensor]:
        """Outputs, next state, next inputs, and which sequences have ended."""

    def finalize(
        self, outputs: object, final_state: object, sequence_lengths: Tensor
    ) -> tuple[object, object]:
        """Outputs (time first) and state, once all steps are done."""
        return outputs, final_state


def dynamic_decode(
    decoder: Decoder, output_time_major: bool = False, impute_finished: bool = False,
    maximum_iterations: object = None, parallel_iterations: int = 32, swap_memory: bool = False,
    scope: str | VariableScope | None = None,
) -> tuple[Any, Any, Tensor]:  # fmt: skip
    """The outputs of all steps, the last state and the length of each sequence.

    It steps until all sequences have ended, or `maximum_iterations` times.  Outputs have as many
    steps as were run, but where the decoder knows how many there can be (its helper reads them
    from a tensor) they have that many.  With `impute_finished` outputs beyond a sequence's end are
    zero and its state stays.
    """
    if not isinstance(decoder, Decoder):
        raise TypeError(f"Expected decoder to be type Decoder, but saw: {type(decoder)}")
    limit = maximum_iterations if decoder.steps is None else decoder.steps
    with variable_scope(scope, "decoder"):
        most = None if limit is None else convert_to_tensor(limit, dtypes.int32)
        if maximum_iterations is not None and decoder.steps is not None:
            most = make("Minimum", (most, convert_to_tensor(maximum_iterations, dtypes.int32)))
        finished, inputs, state = decoder.initialize()
        form, outline = _outline(decoder, inputs, state)
        arrays = [
            TensorArray(base(t), 0 if most is None else most, dynamic_size=most is None,
                        element_shape=t.shape)
            for t in outline
        ]  # fmt: skip
        none_yet = make("ZerosLike", (finished,), dtype=dtypes.boolean)
        start = (
            convert_to_tensor(0, dtypes.int32, "time"), arrays, state, inputs, finished,
            make("Cast", (none_yet,), DstT=dtypes.int32),
        )  # fmt: skip

        def goes_on(time: Tensor, *rest: object) -> Tensor:
            still = make("LogicalNot", (reduce_all(rest[3]),))
            return still if most is None else make("LogicalAnd", (time < most, still))

        def body(
            time: Tensor, outputs: list[TensorArray], before: object, given: object, done: Tensor,
            lengths: Tensor,
        ) -> object:  # fmt: skip
            found, after, following, ended = decoder.step(time, given, before)
            emitted = flatten(found)
            if impute_finished:
                emitted = [where(done, zeros_of(t), t) for t in emitted]
                after = map_structure(lambda old, new: _kept(done, old, new), before, after)
            written = [a.write(time, t) for a, t in zip(outputs, emitted, strict=True)]
            counted = make("Fill", (make("Shape", (lengths,), out_type=dtypes.int32), time + 1))
            lengths = where(done, lengths, counted)
            if not decoder.tracks_own_finished:
                ended = make("LogicalOr", (ended, done))
            return time + 1, written, after, following, ended, lengths

        last = typed(
            "tuple[Tensor, list[TensorArray], object, object, Tensor, Tensor]",
            while_loop(goes_on, body, start, parallel_iterations=parallel_iterations),
        )
        stacked = [array.stack() for array in last[1]]
        if decoder.steps is None and most is not None:
            stacked = [make("FirstRows", (rows, last[0])) for rows in stacked]
        outputs, state = decoder.finalize(pack_sequence_as(form, stacked), last[2], last[5])
        if not output_time_major:
            outputs = map_structure(_swapped, outputs)
        return outputs, state, last[5]


def _outline(decoder: Decoder, inputs: object, state: object) -> tuple[object, list[Tensor]]:
    """A step's outputs and their tensors of the right dtypes and shapes, which nothing runs."""
    with name_scope(None, "outline"):
        found = decoder.step(convert_to_tensor(0, dtypes.int32), inputs, state)[0]
        return found, [convert_to_tensor(t) for t in flatten(found)]


def _kept(done: Tensor, old: object, new: object) -> object:
    if isinstance(new, TensorArray):
        return new
    tensor = convert_to_tensor(new)
    return tensor if tensor.sizes == () else where(done, old, tensor)


def _swapped(rows: object) -> Tensor:
    tensor = convert_to_tensor(rows)
    order = [1, 0, *range(2, len(tensor.sizes or (0, 0)))]
    return make("Transpose", (tensor, order))


def _rows_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    return [(base(op.inputs[0]), None if sizes is None else (None, *sizes[1:]))]


def _first_rows(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    return [arrays[0][: int(arrays[1])]]


def sequence_loss(
    logits: object, targets: object, weights: object, average_across_timesteps: bool = True,
    average_across_batch: bool = True,
    softmax_loss_function: Callable[..., Tensor] | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The weighted cross-entropy of sequences: logits [batch, time, classes], targets and weights
    [batch, time], averaged by the sum of the weights."""
    scores = convert_to_tensor(logits)
    if scores.shape.ndims not in (None, 3):
        raise ValueError("Logits must be a [batch_size x sequence_length x logits] tensor")
    with name_scope(name, "sequence_loss", [scores, targets, weights]):
        classes = (scores.sizes or (None,))[-1]
        if classes is None:
            raise ValueError("sequence_loss needs a known number of classes")
        factors = convert_to_tensor(weights)
        flat = reshape(scores, [-1, classes])
        wanted = reshape(targets, [-1])
        if softmax_loss_function is None:
            loss = sparse_softmax_cross_entropy_with_logits(labels=wanted, logits=flat)
        else:
            loss = softmax_loss_function(labels=wanted, logits=flat)
        loss = loss * reshape(factors, [-1])
        if average_across_timesteps and average_across_batch:
            return reduce_sum(loss) / (reduce_sum(factors) + 1e-12)
        rows = reshape(loss, make("Shape", (scores,), out_type=dtypes.int32)[:2])
        if not average_across_timesteps and not average_across_batch:
            return rows
        axis = 1 if average_across_timesteps else 0
        return reduce_sum(rows, axis) / (reduce_sum(factors, axis) + 1e-12)


register(
    OpKind("FirstRows", "data:T count:int32", _rows_infer, host_only, host=_first_rows,
           differentiable=False),
)  # fmt: skip
