"""Cells of recurrent nets.

Formulas: Hochreiter, Schmidhuber: Long Short-Term Memory (1997); Gers, Schraudolph: Learning
precise timing with LSTM (2002) for peepholes; Cho et al.: Learning phrase representations using
RNN encoder-decoder (2014) for the GRU.  Names of variables and the order of gates are
TensorFlow's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.clipping import clip_by_value
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.initializers import Constant, Zeros
from tensorkiln.frontends.graph.nest import map_structure
from tensorkiln.frontends.graph.ops_constant import zeros
from tensorkiln.frontends.graph.ops_elementwise import sigmoid, tanh
from tensorkiln.frontends.graph.ops_join import concat, split
from tensorkiln.frontends.graph.ops_matmul import matmul
from tensorkiln.frontends.graph.ops_normalize import bias_add
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.shapes import TensorShape, as_sizes
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import (
    VariableScope,
    get_variable,
    variable_scope,
)  # fmt: skip
from tensorkiln.frontends.graph.variables import Variable

Activation = Callable[[Tensor], Tensor]


class RNNCell(ABC):
    """One step of a recurrent net: `cell(inputs, state)` gives the output and the next state.

    A subclass gives `state_size`, `output_size` and `call`; variables made in `build` and `call`
    stand in the scope in which the cell was first called, and are shared by all calls.
    """

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: object = None,
        _reuse: bool | None = None,
    ) -> None:  # fmt: skip
        self.trainable = trainable
        self.built = False
        self._base_name = name or _snake_case(type(self).__name__)
        self._dtype = None if dtype is None else dtypes.as_dtype(dtype)
        self._reuse = _reuse
        self._scope: VariableScope | None = None
        self._weights: list[Variable] = []

    @property
    @abstractmethod
    def state_size(self) -> object:
        """The size of the state: an integer or TensorShape, or a nest of them."""

    @property
    @abstractmethod
    def output_size(self) -> object:
        """The size of the output."""

    @abstractmethod
    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """The output and the next state."""

    def build(self, inputs_shape: TensorShape) -> None:
        """Makes the variables; called once, before the first step.  By default there are none."""
        return

    def __call__(
        self, inputs: object, state: object, scope: str | VariableScope | None = None
    ) -> tuple[object, object]:
        """One step; `scope` names the variables' scope at the first call."""
        if self._scope is None:
            with variable_scope(scope, self._base_name) as captured:
                self._scope = captured
        reuse = True if self.built or self._reuse else None
        with (
            variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False),
            name_scope(self._scope.original_name_scope),
        ):
            if not self.built:
                if not isinstance(inputs, list | tuple):
                    inputs = convert_to_tensor(inputs)
                    self.build(inputs.shape)
                self.built = True
            return self.call(inputs, state)  # type: ignore[arg-type]

    @property
    def scope_name(self) -> str | None:
        """The variables' scope, once the cell has been called."""
        return None if self._scope is None else self._scope.name

    @property
    def name(self) -> str:
        """The last part of the cell's scope."""
        return self._base_name

    @property
    def trainable_weights(self) -> list[Variable]:
        """The variables made so far."""
        return list(self._weights)

    weights = variables = trainable_variables = trainable_weights

    def zero_state(self, batch_size: object, dtype: object) -> object:
        """Zeros in the form of the state."""
        with name_scope(f"{type(self).__name__}ZeroState"):
            return map_structure(
                lambda size: zeros(_with_batch(batch_size, size), dtype), self.state_size
            )

    def get_initial_state(
        self, inputs: object = None, batch_size: object = None, dtype: object = None
    ) -> object:
        """`zero_state` for a batch like that of `inputs`."""
        if inputs is not None:
            tensor = convert_to_tensor(inputs)
            batch_size = make("Shape", (tensor,), out_type=dtypes.int32)[0]
            dtype = tensor.dtype.base_dtype
        return self.zero_state(batch_size, dtype)

    def _variable(self, name: str, shape: list[int], initializer: object = None) -> Variable:
        made = get_variable(name, shape, self._dtype, initializer, trainable=self.trainable)
        self._weights.append(made)
        return made

    def _linear(self, parts: list[object], kernel: Variable, bias: Variable | None) -> Tensor:
        """The parts side by side, times the kernel, plus the bias."""
        whole = parts[0] if len(parts) == 1 else concat(parts, 1)
        product = matmul(whole, kernel)
        return product if bias is None else bias_add(product, bias)


def _with_batch(batch_size: object, size: object) -> object:
    dims = as_sizes(size if isinstance(size, TensorShape | list | tuple) else [size])
    assert dims is not None
    if isinstance(batch_size, Tensor):
        return make("ConcatV2", ([make("ExpandDims", (batch_size, 0)), list(dims)], 0))
    return [int(batch_size), *dims]  # type: ignore[call-overload]


def _snake_case(name: str) -> str:
    """`BasicLSTMCell` as `basic_lstm_cell`."""
    text = ""
    for k, letter in enumerate(name):
        starts = (
            letter.isupper()
            and k
            and (name[k - 1].islower() or (k + 1 < len(name) and name[k + 1].islower()))
        )
        text += f"_{letter.lower()}" if starts else letter.lower()
    return text


def input_depth(shape: TensorShape) -> int:
    """The size of the last dim; ValueError if it is not known."""
    depth = None if shape.sizes is None or not shape.sizes else shape.sizes[-1]
    if depth is None:
        raise ValueError(f"Expected inputs.shape[-1] to be known, saw shape: {shape}")
    return depth


class BasicRNNCell(RNNCell):
    """output = state = activation(W [input, state] + b)."""

    def __init__(
        self, num_units: int, activation: Activation | None = None, reuse: bool | None = None,
        name: str | None = None, dtype: object = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(trainable, name, dtype, reuse)
        self._units, self._activation = num_units, activation or tanh

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        return self._units

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._units

    def build(self, inputs_shape: TensorShape) -> None:
        """See RNNCell."""
        depth = input_depth(inputs_shape) + self._units
        self._kernel = self._variable("kernel", [depth, self._units])
        self._bias = self._variable("bias", [self._units], Zeros())

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        output = self._activation(self._linear([inputs, state], self._kernel, self._bias))
        return output, output


class GRUCell(RNNCell):
    """state = u * state + (1 - u) * activation(W [input, r * state] + b), gates r and u."""

    def __init__(
        self, num_units: int, activation: Activation | None = None, reuse: bool | None = None,
        kernel_initializer: object = None, bias_initializer: object = None,
        name: str | None = None, dtype: object = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(trainable, name, dtype, reuse)
        self._units, self._activation = num_units, activation or tanh
        self._initializers = (kernel_initializer, bias_initializer)

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        return self._units

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._units

    def build(self, inputs_shape: TensorShape) -> None:
        """See RNNCell."""
        depth, units = input_depth(inputs_shape) + self._units, self._units
        kernel, bias = self._initializers
        self._gate_kernel = self._variable("gates/kernel", [depth, 2 * units], kernel)
        self._gate_bias = self._variable("gates/bias", [2 * units], bias or Constant(1.0))
        self._kernel = self._variable("candidate/kernel", [depth, units], kernel)
        self._bias = self._variable("candidate/bias", [units], bias or Zeros())

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        gates = sigmoid(self._linear([inputs, state], self._gate_kernel, self._gate_bias))
        reset, update = split(gates, 2, axis=1)
        before = convert_to_tensor(state)
        candidate = self._linear([inputs, reset * before], self._kernel, self._bias)
        after = update * before + (1 - update) * self._activation(candidate)
        return after, after


class LSTMStateTuple(NamedTuple):
    """The state of an LSTM cell: memory and output."""

    c: object
    h: object


class BasicLSTMCell(RNNCell):
    """c = c * f + i * activation(j), h = activation(c) * o, for gates i, j, f, o of [input, h]."""

    def __init__(
        self, num_units: int, forget_bias: float = 1.0, state_is_tuple: bool = True,
        activation: Activation | None = None, reuse: bool | None = None, name: str | None = None,
        dtype: object = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(trainable, name, dtype, reuse)
        self._units, self._activation = num_units, activation or tanh
        self._forget_bias, self._is_tuple = forget_bias, state_is_tuple

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        return LSTMStateTuple(self._units, self._units) if self._is_tuple else 2 * self._units

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._units

    def build(self, inputs_shape: TensorShape) -> None:
        """See RNNCell."""
        depth = input_depth(inputs_shape) + self._units
        self._kernel = self._variable("kernel", [depth, 4 * self._units])
        self._bias = self._variable("bias", [4 * self._units], Zeros())

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        c, h = lstm_parts(state, self._is_tuple)
        i, j, f, o = split(self._linear([inputs, h], self._kernel, self._bias), 4, axis=1)
        c = c * sigmoid(f + self._forget_bias) + sigmoid(i) * self._activation(j)
        h = self._activation(c) * sigmoid(o)
        return h, LSTMStateTuple(c, h) if self._is_tuple else concat([c, h], 1)


def lstm_parts(state: object, is_tuple: bool, split_sizes: object = 2) -> tuple[Tensor, Tensor]:
    """Memory and output of an LSTM's state."""
    parts = state if is_tuple else split(convert_to_tensor(state), split_sizes, axis=1)
    c, h = (convert_to_tensor(part) for part in parts)  # type: ignore[attr-defined]
    return c, h


class LSTMCell(RNNCell):
    """`BasicLSTMCell` with optional peepholes, clipping of the memory, and a projection."""

    def __init__(
        self, num_units: int, use_peepholes: bool = False, cell_clip: float | None = None,
        initializer: object = None, num_proj: int | None = None, proj_clip: float | None = None,
        num_unit_shards: int | None = None, num_proj_shards: int | None = None,
        forget_bias: float = 1.0, state_is_tuple: bool = True,
        activation: Activation | None = None, reuse: bool | None = None, name: str | None = None,
        dtype: object = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(trainable, name, dtype, reuse)
        self._units, self._activation = num_units, activation or tanh
        self._peepholes, self._clip, self._initializer = use_peepholes, cell_clip, initializer
        self._projected, self._projection_clip = num_proj, proj_clip
        self._forget_bias, self._is_tuple = forget_bias, state_is_tuple

    @property
    def state_size(self) -> object:
        """See RNNCell."""
        output = self._projected or self._units
        return LSTMStateTuple(self._units, output) if self._is_tuple else self._units + output

    @property
    def output_size(self) -> object:
        """See RNNCell."""
        return self._projected or self._units

    def build(self, inputs_shape: TensorShape) -> None:
        """See RNNCell."""
        units, output = self._units, self._projected or self._units
        depth = input_depth(inputs_shape) + output
        self._kernel = self._variable("kernel", [depth, 4 * units], self._initializer)
        self._bias = self._variable("bias", [4 * units], Zeros())
        if self._peepholes:
            self._diagonals = [
                self._variable(f"w_{gate}_diag", [units], self._initializer) for gate in "fio"
            ]
        if self._projected is not None:
            self._projection = self._variable(
                "projection/kernel", [units, self._projected], self._initializer
            )

    def call(self, inputs: Tensor, state: object) -> tuple[object, object]:
        """See RNNCell."""
        sizes = [self._units, self._projected or self._units]
        c, m = lstm_parts(state, self._is_tuple, sizes)
        i, j, f, o = split(self._linear([inputs, m], self._kernel, self._bias), 4, axis=1)
        if self._peepholes:
            w_f, w_i, w_o = self._diagonals
            kept = sigmoid(f + self._forget_bias + w_f * c) * c
            c = kept + sigmoid(i + w_i * c) * self._activation(j)
        else:
            c = sigmoid(f + self._forget_bias) * c + sigmoid(i) * self._activation(j)
        if self._clip is not None:
            c = convert_to_tensor(clip_by_value(c, -self._clip, self._clip))
        m = sigmoid(o + w_o * c if self._peepholes else o) * self._activation(c)
        if self._projected is not None:
            m = matmul(m, self._projection)
            if self._projection_clip is not None:
                bound = self._projection_clip
                m = convert_to_tensor(clip_by_value(m, -bound, bound))
        return m, LSTMStateTuple(c, m) if self._is_tuple else concat([c, m], 1)
