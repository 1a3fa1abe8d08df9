"""Cells around cells: dropout, residual connections, several layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.nest import flatten, map_structure
from tensorkiln.frontends.graph.ops_join import concat
from tensorkiln.frontends.graph.ops_normalize import dropout
from tensorkiln.frontends.graph.ops_slice import slice_
from tensorkiln.frontends.graph.rnn_cells import LSTMStateTuple, RNNCell
from tensorkiln.frontends.graph.scopes import device, name_scope
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import VariableScope, variable_scope

Scope = str | VariableScope | None


class _Wrapper(RNNCell):
    """A cell that has another one do the step; it has no variables of its own."""

    def __init__(self, cell: RNNCell) -> None:
        if not callable(cell) or not hasattr(cell, "state_size"):
            raise TypeError(f"The parameter cell must be an RNNCell, not {cell!r}")
        super().__init__()
        self._cell = cell

    @property
    def wrapped_cell(self) -> RNNCell:
        """The cell inside."""
        return self._cell

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        return self._cell.state_size

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._cell.output_size

    def zero_state(self, batch_size: object, dtype: object) -> object:
        """See RNNCell."""
        with name_scope(f"{type(self).__name__}ZeroState"):
            return self._cell.zero_state(batch_size, dtype)

    def __call__(self, inputs: object, state: object, scope: Scope = None) -> tuple[object, object]:
        """See RNNCell; the wrapped cell's variables stand where they would without the wrapper."""
        return self._step(inputs, state, scope)

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        return self._step(inputs, state, None)

    def _step(self, inputs: object, state: object, scope: Scope) -> tuple[object, object]:
        raise NotImplementedError


class DropoutWrapper(_Wrapper):
    """Dropout on a cell's inputs, outputs and next state (not on the memory of an LSTM).

    With `variational_recurrent` each run has one mask for all steps (Gal, Ghahramani, 2015).
    """

    def __init__(
        self, cell: RNNCell, input_keep_prob: object = 1.0, output_keep_prob: object = 1.0,
        state_keep_prob: object = 1.0, variational_recurrent: bool = False,
        input_size: object = None, dtype: object = None, seed: int | None = None,
        dropout_state_filter_visitor: Callable[[object], object] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(cell)
        if variational_recurrent:
            raise ValueError(
                "DropoutWrapper(variational_recurrent=True) is not there; leave it out, or drop the "
                "inputs of all steps at once with noise_shape"
            )
        probabilities = {
            "input_keep_prob": input_keep_prob, "output_keep_prob": output_keep_prob,
            "state_keep_prob": state_keep_prob,
        }  # fmt: skip
        for label, value in probabilities.items():
            if isinstance(value, int | float) and not 0 <= value <= 1:
                raise ValueError(f"Parameter {label} must be between 0 and 1: {value}")
        self._input, self._output, self._state = probabilities.values()
        self._seed = seed

    def _step(self, inputs: object, state: object, scope: Scope) -> tuple[object, object]:
        inputs = self._dropped(inputs, self._input, "input")
        output, after = self._cell(inputs, state, scope)
        if not _is_one(self._state):
            after = self._dropped_state(after)
        return self._dropped(output, self._output, "output"), after

    def _dropped(self, values: object, keep: object, salt: str) -> object:
        if _is_one(keep):
            return values
        return map_structure(lambda v: dropout(v, keep, seed=self._salted(salt)), values)

    def _dropped_state(self, state: object) -> object:
        if isinstance(state, LSTMStateTuple):
            return LSTMStateTuple(state.c, self._dropped(state.h, self._state, "state"))
        if isinstance(state, tuple | list):
            return type(state)(self._dropped_state(part) for part in state)
        return self._dropped(state, self._state, "state")

    def _salted(self, salt: str) -> int | None:
        """Different seeds for the different places, which follow from the one given."""
        if self._seed is None:
            return None
        number = self._seed
        for letter in f"{salt}":
            number = (number * 31 + ord(letter)) % (2**31 - 1)
        return number


def _is_one(value: object) -> bool:
    return isinstance(value, int | float) and value >= 1


class ResidualWrapper(_Wrapper):
    """Adds a cell's inputs to its outputs."""

    def __init__(
        self, cell: RNNCell, residual_fn: Callable[[object, object], object] | None = None
    ) -> None:
        super().__init__(cell)
        self._residual = residual_fn

    def _step(self, inputs: object, state: object, scope: Scope) -> tuple[object, object]:
        output, after = self._cell(inputs, state, scope)
        if self._residual is not None:
            return self._residual(inputs, output), after
        added = map_structure(
            lambda x, y: convert_to_tensor(x) + convert_to_tensor(y), inputs, output
        )
        return added, after


class DeviceWrapper(_Wrapper):
    """Runs a cell on a device."""

    def __init__(self, cell: RNNCell, device: object) -> None:
        super().__init__(cell)
        self._device = device

    def _step(self, inputs: object, state: object, scope: Scope) -> tuple[object, object]:
        with device(self._device):
            return self._cell(inputs, state, scope)


class MultiRNNCell(RNNCell):
    """Cells one above the other; the state is a tuple of theirs."""

    def __init__(self, cells: Sequence[RNNCell], state_is_tuple: bool = True) -> None:
        super().__init__()
        if not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell.")
        if not isinstance(cells, list | tuple):
            raise TypeError(f"cells must be a list or tuple, but saw: {cells}.")
        self._cells, self._is_tuple = list(cells), state_is_tuple
        if not state_is_tuple and any(len(flatten(cell.state_size)) > 1 for cell in cells):
            raise ValueError(
                "Some cells return tuples of states, but the flag state_is_tuple is not set."
            )

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        if self._is_tuple:
            return tuple(cell.state_size for cell in self._cells)
        return sum(int(cell.state_size) for cell in self._cells)

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._cells[-1].output_size

    def zero_state(self, batch_size: object, dtype: object) -> object:
        """See RNNCell."""
        with name_scope(f"{type(self).__name__}ZeroState"):
            if self._is_tuple:
                return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)
            return super().zero_state(batch_size, dtype)

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        current: object = inputs
        after: list[object] = []
        start = 0
        for k, cell in enumerate(self._cells):
            with variable_scope(f"cell_{k}"):
                if self._is_tuple:
                    before = state[k]  # type: ignore[index]
                else:
                    size = int(cell.state_size)
                    before = slice_(state, [0, start], [-1, size])
                    start += size
                current, new = cell(current, before)
                after.append(new)
        return current, tuple(after) if self._is_tuple else concat(after, 1)
