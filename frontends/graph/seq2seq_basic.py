"""The decoder that takes its inputs from a helper."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.nest import map_structure
from tensorkiln.frontends.graph.rnn import check_cell
from tensorkiln.frontends.graph.rnn_cells import RNNCell
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.seq2seq_decoder import Decoder
from tensorkiln.frontends.graph.seq2seq_helpers import Helper
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray


class BasicDecoderOutput(NamedTuple):
    """What a decoder gives at a step: the cell's output (through the output layer) and a class."""

    rnn_output: object
    sample_id: object


class BasicDecoder(Decoder):
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
        self._initial_state = map_structure(
            lambda t: t if isinstance(t, TensorArray) else convert_to_tensor(t), initial_state
        )

    @property
    def batch_size(self) -> Tensor:
        """The number of sequences, an int32 scalar."""
        return self._helper.batch_size

    @property
    def steps(self) -> object:
        """The most steps that there can be, if that is known."""
        return self._helper.steps

    def initialize(self, name: str | None = None) -> tuple[Tensor, Tensor, object]:
        """Which sequences are empty, the first inputs and the first state."""
        return (*self._helper.initialize(), self._initial_state)

    def step(
        self, time: Tensor, inputs: object, state: object, name: str | None = None
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
