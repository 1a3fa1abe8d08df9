"""LSTM cells of `tf.contrib.rnn`: one block with peepholes, and one with layer normalisation.

Layer normalisation: Ba, Kiros, Hinton (2016); recurrent dropout: Semeniuta, Severyn, Barth (2016).
"""

from __future__ import annotations

from tensorkiln.frontends.graph.initializers import Constant, Zeros
from tensorkiln.frontends.graph.ops_elementwise import maximum, minimum, sigmoid, tanh
from tensorkiln.frontends.graph.ops_join import split
from tensorkiln.frontends.graph.ops_normalize import batch_normalization, dropout, moments
from tensorkiln.frontends.graph.rnn_cells import (
    Activation,
    LSTMStateTuple,
    RNNCell,
    input_depth,
    lstm_parts,
)
from tensorkiln.frontends.graph.shapes import TensorShape
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variables import Variable

_EPSILON = 1e-12


class LSTMBlockCell(RNNCell):
    """`BasicLSTMCell` whose state is always a tuple, with optional peepholes and a clipped memory.

    The memory is not clipped unless `cell_clip` is a positive number.
    """

    def __init__(
        self, num_units: int, forget_bias: float = 1.0, cell_clip: float | None = None,
        use_peephole: bool = False, dtype: object = None, reuse: bool | None = None,
        name: str | None = "lstm_cell",
    ) -> None:  # fmt: skip
        super().__init__(True, name, dtype, reuse)
        self._units, self._forget_bias = num_units, forget_bias
        self._clip, self._peephole = cell_clip, use_peephole

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        return LSTMStateTuple(self._units, self._units)

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._units

    def build(self, inputs_shape: TensorShape) -> None:
        """See RNNCell."""
        depth = input_depth(inputs_shape) + self._units
        self._kernel = self._variable("kernel", [depth, 4 * self._units])
        self._bias = self._variable("bias", [4 * self._units], Zeros())
        if self._peephole:
            self._diagonals = [
                self._variable(f"w_{gate}_diag", [self._units]) for gate in ("i", "f", "o")
            ]

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        c, h = lstm_parts(state, True)
        i, j, f, o = split(self._linear([inputs, h], self._kernel, self._bias), 4, axis=1)
        f = f + self._forget_bias
        if self._peephole:
            i, f = i + c * self._diagonals[0], f + c * self._diagonals[1]
        c = tanh(j) * sigmoid(i) + c * sigmoid(f)
        if self._clip is not None and self._clip > 0:
            c = minimum(maximum(c, -self._clip), self._clip)
        if self._peephole:
            o = o + c * self._diagonals[2]
        h = tanh(c) * sigmoid(o)
        return h, LSTMStateTuple(c, h)


class LayerNormBasicLSTMCell(RNNCell):
    """`BasicLSTMCell` whose gates and memory are normalised, with dropout of what is remembered."""

    def __init__(
        self, num_units: int, forget_bias: float = 1.0, input_size: object = None,
        activation: Activation = tanh, layer_norm: bool = True, norm_gain: float = 1.0,
        norm_shift: float = 0.0, dropout_keep_prob: object = 1.0,
        dropout_prob_seed: int | None = None, reuse: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(True, None, None, reuse)
        self._units, self._activation, self._forget_bias = num_units, activation, forget_bias
        self._normed, self._gain, self._shift = layer_norm, norm_gain, norm_shift
        self._keep_prob, self._seed = dropout_keep_prob, dropout_prob_seed
        self._norms: dict[str, tuple[Variable, Variable]] = {}

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        return LSTMStateTuple(self._units, self._units)

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._units

    def build(self, inputs_shape: TensorShape) -> None:
        """See RNNCell."""
        depth = input_depth(inputs_shape) + self._units
        self._kernel = self._variable("kernel", [depth, 4 * self._units])
        self._bias = None if self._normed else self._variable("bias", [4 * self._units], Zeros())
        for place in ("input", "transform", "forget", "output", "state") if self._normed else ():
            self._norms[place] = (
                self._variable(f"{place}/gamma", [self._units], Constant(self._gain)),
                self._variable(f"{place}/beta", [self._units], Constant(self._shift)),
            )

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        c, h = lstm_parts(state, True)
        parts = split(self._linear([inputs, h], self._kernel, self._bias), 4, axis=1)
        i, j, f, o = (
            self._norm(part, place)
            for part, place in zip(parts, ("input", "transform", "forget", "output"), strict=True)
        )
        g = self._activation(j)
        if not isinstance(self._keep_prob, float | int) or self._keep_prob != 1:
            g = dropout(g, self._keep_prob, seed=self._seed)
        c = self._norm(c * sigmoid(f + self._forget_bias) + sigmoid(i) * g, "state")
        h = self._activation(c) * sigmoid(o)
        return h, LSTMStateTuple(c, h)

    def _norm(self, x: Tensor, place: str) -> Tensor:
        if not self._normed:
            return x
        gamma, beta = self._norms[place]
        mean, variance = moments(x, [1], keep_dims=True)
        return batch_normalization(x, mean, variance, beta, gamma, _EPSILON)
