"""Attention over a memory, and a cell that attends at each step.

Luong, Pham, Manning: Effective approaches to attention-based neural machine translation (2015);
Bahdanau, Cho, Bengio: Neural machine translation by jointly learning to align and translate (2014).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dense_layer import Dense
from tensorkiln.frontends.graph.initializers import Constant, Zeros
from tensorkiln.frontends.graph.nest import map_structure
from tensorkiln.frontends.graph.ops_activation import softmax
from tensorkiln.frontends.graph.ops_constant import zeros
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_matmul import matmul
from tensorkiln.frontends.graph.ops_rearrange import sequence_mask
from tensorkiln.frontends.graph.ops_reduce import reduce_sum
from tensorkiln.frontends.graph.ops_select import where_v2
from tensorkiln.frontends.graph.ops_shape import expand_dims, squeeze
from tensorkiln.frontends.graph.rnn_cells import RNNCell
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray
from tensorkiln.frontends.graph.variable_scope import VariableScope, get_variable, variable_scope


class AttentionMechanism(ABC):
    """Scores a query against each row of a memory [batch, time, depth].

    Rows beyond `memory_sequence_length` count as zero and get no weight.
    """

    def __init__(
        self, num_units: int, memory: object, memory_sequence_length: object,
        probability_fn: Callable[[Tensor], Tensor] | None, score_mask_value: float | None,
        scope: str,
    ) -> None:  # fmt: skip
        rows = convert_to_tensor(memory, name="memory")
        self._probability = probability_fn or softmax
        self._masked = -np.inf if score_mask_value is None else score_mask_value
        self._scope, self._units = scope, num_units
        self._inside: Tensor | None = None
        self._opened: VariableScope | None = None
        with name_scope(None, f"{type(self).__name__}Init", [rows]):
            self._steps = make("Shape", (rows,), out_type=dtypes.int32)[1]
            if memory_sequence_length is not None:
                known = None if rows.sizes is None else rows.sizes[1]
                most = self._steps if known is None else known
                self._inside = sequence_mask(memory_sequence_length, most)
                rows = rows * expand_dims(cast(self._inside, base(rows)), 2)
            self._values = rows
        self._keys = Dense(num_units, use_bias=False, name="memory_layer")(rows)

    @property
    def values(self) -> Tensor:
        """The memory."""
        return self._values

    @property
    def keys(self) -> Tensor:
        """The memory as queries see it."""
        return self._keys

    @property
    def alignments_size(self) -> object:
        """The number of rows of the memory."""
        known = None if self._values.sizes is None else self._values.sizes[1]
        return self._steps if known is None else known

    @abstractmethod
    def score(self, query: Tensor) -> Tensor:
        """The score of each row of the memory, [batch, time]."""

    def __call__(self, query: object, state: object = None) -> tuple[Tensor, Tensor]:
        """The weight of each row of the memory, and the same as the next state."""
        reuse = True if self._opened is not None else None
        if self._opened is None:
            with variable_scope(None, self._scope) as scope:
                self._opened = scope
        with variable_scope(self._opened, reuse=reuse):
            score = self.score(convert_to_tensor(query))
            if self._inside is not None:
                never = convert_to_tensor(self._masked, base(score))
                score = where_v2(self._inside, score, never)
            weights = self._probability(score)
        return weights, weights


class LuongAttention(AttentionMechanism):
    """score = key . query, times a learned factor if `scale`; queries have `num_units` elements."""

    def __init__(
        self, num_units: int, memory: object, memory_sequence_length: object = None,
        scale: bool = False, probability_fn: Callable[[Tensor], Tensor] | None = None,
        score_mask_value: float | None = None, dtype: object = None, name: str = "LuongAttention",
    ) -> None:  # fmt: skip
        super().__init__(
            num_units, memory, memory_sequence_length, probability_fn, score_mask_value,
            "luong_attention",
        )  # fmt: skip
        self._scale = scale

    def score(self, query: Tensor) -> Tensor:
        """See AttentionMechanism."""
        depth = (query.sizes or (None,))[-1]
        if depth != self._units:
            raise ValueError(
                "Incompatible or unknown inner dimensions between query and keys.  Query has units: "
                f"{depth}.  Keys have units: {self._units}.  Perhaps you need to set num_units to "
                f"the keys' dimension ({self._units})?"
            )
        found = squeeze(matmul(expand_dims(query, 1), self._keys, transpose_b=True), [1])
        if self._scale:
            found = get_variable("attention_g", [], base(query), Constant(1.0)) * found
        return found


class BahdanauAttention(AttentionMechanism):
    """score = v . tanh(key + W query), with v normalised if `normalize`."""

    def __init__(
        self, num_units: int, memory: object, memory_sequence_length: object = None,
        normalize: bool = False, probability_fn: Callable[[Tensor], Tensor] | None = None,
        score_mask_value: float | None = None, dtype: object = None,
        name: str = "BahdanauAttention",
    ) -> None:  # fmt: skip
        super().__init__(
            num_units, memory, memory_sequence_length, probability_fn, score_mask_value,
            "bahdanau_attention",
        )  # fmt: skip
        self._normalize = normalize
        self._query_layer = Dense(num_units, use_bias=False, name="query_layer")

    def score(self, query: Tensor) -> Tensor:
        """See AttentionMechanism."""
        moved = expand_dims(self._query_layer(query), 1)
        dtype = base(moved)
        v = get_variable("attention_v", [self._units], dtype)
        if not self._normalize:
            return reduce_sum(v * make("Tanh", (self._keys + moved,)), 2)
        start = Constant(float(np.sqrt(1.0 / self._units)))
        g = get_variable("attention_g", [], dtype, start)
        b = get_variable("attention_b", [self._units], dtype, Zeros())
        direction = g * v * make("Rsqrt", (reduce_sum(make("Square", (v,))),))
        return reduce_sum(direction * make("Tanh", (self._keys + moved + b,)), 2)


class AttentionWrapperState(NamedTuple):
    """The state of a cell with attention."""

    cell_state: object
    attention: object
    time: object
    alignments: object
    alignment_history: object
    attention_state: object

    def clone(self, **changes: object) -> AttentionWrapperState:
        """The state with some parts replaced, such as `cell_state`."""
        return self._replace(**changes)


class AttentionWrapper(RNNCell):
    """A cell whose inputs carry the last attention and whose output is the next one.

    The attention is the weighted memory, and with `attention_layer_size` a layer of the cell's
    output and the weighted memory.  With `alignment_history` the state keeps the weights of all
    steps in a TensorArray.
    """

    def __init__(
        self, cell: RNNCell, attention_mechanism: AttentionMechanism,
        attention_layer_size: int | None = None, alignment_history: bool = False,
        cell_input_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
        output_attention: bool = True, initial_cell_state: object = None, name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name=name)
        if not isinstance(attention_mechanism, AttentionMechanism):
            raise TypeError(
                f"attention_mechanism must be an AttentionMechanism, saw {attention_mechanism!r}"
            )
        self._keeps_history = alignment_history
        self._cell, self._mechanism = cell, attention_mechanism
        self._input_fn, self._gives_attention = cell_input_fn, output_attention
        self._layer: Dense | None = None
        depth = (attention_mechanism.values.sizes or (None,))[-1]
        if attention_layer_size is not None:
            self._layer = Dense(attention_layer_size, use_bias=False, name="attention_layer")
            depth = attention_layer_size
        if depth is None:
            raise ValueError("the memory of an attention must have a known last dim")
        self._size, self._initial = depth, initial_cell_state

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._size if self._gives_attention else self._cell.output_size

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        rows = self._mechanism.alignments_size
        return AttentionWrapperState(self._cell.state_size, self._size, (), rows, (), rows)

    def zero_state(self, batch_size: object, dtype: object) -> AttentionWrapperState:
        """See RNNCell; the cell's own state is the initial one given, else zero."""
        with name_scope(f"{type(self).__name__}ZeroState"):
            start = self._initial
            if start is None:
                start = self._cell.zero_state(batch_size, dtype)
            else:
                start = map_structure(convert_to_tensor, start)
            rows = self._mechanism.alignments_size
            weights = zeros([batch_size, rows], dtype)
            history: object = ()
            if self._keeps_history:
                history = TensorArray(dtype, 0, dynamic_size=True, element_shape=weights.shape)
            return AttentionWrapperState(
                start, zeros([batch_size, self._size], dtype), zeros([], dtypes.int32), weights,
                history, weights,
            )  # fmt: skip

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        if not isinstance(state, AttentionWrapperState):
            raise TypeError(
                f"Expected state to be instance of AttentionWrapperState. Received {state} instead."
            )
        before = convert_to_tensor(state.attention)
        if self._input_fn is not None:
            given = self._input_fn(inputs, before)
        else:
            given = make("ConcatV2", ([inputs, before], -1))
        found, after = self._cell(given, state.cell_state)
        output = convert_to_tensor(found)
        weights, next_state = self._mechanism(output, state.attention_state)
        context = squeeze(matmul(expand_dims(weights, 1), self._mechanism.values), [1])
        attention = context
        if self._layer is not None:
            attention = self._layer(make("ConcatV2", ([output, context], 1)))
        time = convert_to_tensor(state.time)
        history = state.alignment_history
        if isinstance(history, TensorArray):
            history = history.write(time, weights)
        following = AttentionWrapperState(after, attention, time + 1, weights, history, next_state)
        return (attention if self._gives_attention else output), following
