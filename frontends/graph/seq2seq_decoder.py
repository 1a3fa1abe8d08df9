"""Decoders: a cell, its outputs and what it is given next, run in a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from typing import cast as typed

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.control_flow import while_loop
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.nest import map_structure
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_loss import sparse_softmax_cross_entropy_with_logits
from tensorkiln.frontends.graph.ops_reduce import reduce_sum
from tensorkiln.frontends.graph.ops_select import where
from tensorkiln.frontends.graph.ops_shape import reshape
from tensorkiln.frontends.graph.rnn import check_cell, zeros_of
from tensorkiln.frontends.graph.rnn_cells import RNNCell
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.seq2seq_helpers import Helper
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray
from tensorkiln.frontends.graph.variable_scope import VariableScope, variable_scope


class BasicDecoderOutput(NamedTuple):
    """What a decoder gives at a step: the cell's output (through the output layer) and a class."""

    rnn_output: object
    sample_id: object


class BasicDecoder:
    """Steps a cell through what `helper` gives it."""

    def __init__(
        self, cell: RNNCell, helper: Helper, initial_state: object,
        output_layer: Callable[[Tensor], Tensor] | None = None,
    ) -> None:  # fmt: skip
        check_cell(cell)
        if not isinstance(helper, Helper):
            raise TypeError(f"helper must be a Helper, received: {type(helper)}")
        if output_layer is not None and not callable(output_layer):
            raise TypeError(f"output_layer must be a layer, received: {type(output_layer)}")
        self._cell, self._helper, self._layer = cell, helper, output_layer
        self._initial_state = map_structure(convert_to_tensor, initial_state)

    @property
    def batch_size(self) -> Tensor:
        """The number of sequences, an int32 scalar."""
        return self._helper.batch_size

    @property
    def steps(self) -> object:
        """The most steps that there can be, if that is known."""
        return self._helper.steps

    def initialize(self) -> tuple[Tensor, Tensor, object]:
        """Which sequences are empty, the first inputs and the first state."""
        return (*self._helper.initialize(), self._initial_state)

    def step(
        self, time: Tensor, inputs: Tensor, state: object, name: str | None = None
    ) -> tuple[BasicDecoderOutput, object, Tensor, Tensor]:
        """Outputs, next state, next inputs, and which sequences have ended."""
        with name_scope(name, "BasicDecoderStep", [time, inputs]):
            found, after = self._cell(inputs, state)
            output = convert_to_tensor(found)
            if self._layer is not None:
                output = self._layer(output)
            classes = self._helper.sample(time, output, after)
            done, following, after = self._helper.next_inputs(time, output, after, classes)
            return BasicDecoderOutput(output, classes), after, following, done


def dynamic_decode(
    decoder: BasicDecoder, output_time_major: bool = False, impute_finished: bool = False,
    maximum_iterations: object = None, parallel_iterations: int = 32, swap_memory: bool = False,
    scope: str | VariableScope | None = None,
) -> tuple[BasicDecoderOutput, object, Tensor]:  # fmt: skip
    """The outputs of all steps, the last state and the length of each sequence.

    It steps until all sequences have ended.  Where the helper does not know how many steps there
    can be, `maximum_iterations` must say so; outputs have as many steps as were run then, and else
    those of the helper's inputs.  With `impute_finished` outputs beyond a sequence's end are zero
    and its state stays.
    """
    limit = maximum_iterations if decoder.steps is None else decoder.steps
    if limit is None:
        raise ValueError(
            "dynamic_decode: give maximum_iterations; nothing else says how many steps there can be"
        )
    with variable_scope(scope, "decoder"):
        most = convert_to_tensor(limit, dtypes.int32)
        if maximum_iterations is not None and decoder.steps is not None:
            most = make("Minimum", (most, convert_to_tensor(maximum_iterations, dtypes.int32)))
        finished, inputs, state = decoder.initialize()
        forms = _outline(decoder, inputs, state)
        arrays = BasicDecoderOutput(
            *(TensorArray(base(t), most, element_shape=t.shape) for t in forms)
        )
        start = (
            convert_to_tensor(0, dtypes.int32, "time"), arrays, state, inputs, finished,
            make("Cast", (make("ZerosLike", (finished,), dtype=dtypes.boolean),), DstT=dtypes.int32),
        )  # fmt: skip

        def goes_on(time: Tensor, *rest: object) -> Tensor:
            still = make("Any", (make("LogicalNot", (rest[3],)), [0]), keep_dims=False)
            return make("LogicalAnd", (time < most, still))

        def body(
            time: Tensor, outputs: BasicDecoderOutput, before: object, given: Tensor, done: Tensor,
            lengths: Tensor,
        ) -> object:  # fmt: skip
            found, after, following, ended = decoder.step(time, given, before)
            emitted: Sequence[object] = found
            if impute_finished:
                emitted = [where(done, zeros_of(t), t) for t in found]
                after = map_structure(lambda old, new: _kept(done, old, new), before, after)
            written = BasicDecoderOutput(
                *(
                    typed(TensorArray, array).write(time, value)
                    for array, value in zip(outputs, emitted, strict=True)
                )
            )
            counted = make("Fill", (make("Shape", (lengths,), out_type=dtypes.int32), time + 1))
            lengths = where(done, lengths, counted)
            return time + 1, written, after, following, make("LogicalOr", (ended, done)), lengths

        last = typed(
            "tuple[Tensor, BasicDecoderOutput, object, Tensor, Tensor, Tensor]",
            while_loop(goes_on, body, start, parallel_iterations=parallel_iterations),
        )
        stacked = [typed(TensorArray, array).stack() for array in last[1]]
        if decoder.steps is None:
            stacked = [make("FirstRows", (rows, last[0])) for rows in stacked]
        if not output_time_major:
            stacked = [_swapped(rows) for rows in stacked]
        return BasicDecoderOutput(*stacked), last[2], last[5]


def _outline(decoder: BasicDecoder, inputs: Tensor, state: object) -> list[Tensor]:
    """Tensors of the dtypes and shapes of a step's outputs, made by a step that nothing runs."""
    with name_scope(None, "outline"):
        found = decoder.step(convert_to_tensor(0, dtypes.int32), inputs, state)[0]
        return [convert_to_tensor(t) for t in found]


def _kept(done: Tensor, old: object, new: object) -> object:
    tensor = convert_to_tensor(new)
    return tensor if tensor.sizes == () else where(done, old, tensor)


def _swapped(rows: Tensor) -> Tensor:
    order = [1, 0, *range(2, len(rows.sizes or (0, 0)))]
    return make("Transpose", (rows, order))


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
