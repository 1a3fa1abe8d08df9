"""Dense as an object, which keeps its variables from call to call."""

from __future__ import annotations

from collections.abc import Callable

from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.initializers import Zeros
from tensorkiln.frontends.graph.layers import Activation, Regularizer, dense_in_scope
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import VariableScope, variable_scope


class Dense:
    """activation(inputs @ kernel + bias) over the last dim; the variables are made at the first
    call and shared by all later ones."""

    def __init__(
        self, units: int, activation: Activation = None,
        use_bias: bool = True, kernel_initializer: object = None,
        bias_initializer: object = Zeros(), kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None, activity_regularizer: object = None,
        trainable: bool = True, name: str | None = None, **options: object,
    ) -> None:  # fmt: skip
        self.units = int(units)
        self._call: Callable[[Tensor], Tensor] = lambda inputs: dense_in_scope(
            inputs, self.units, activation, use_bias, kernel_initializer, bias_initializer,
            kernel_regularizer, bias_regularizer, trainable,
        )  # fmt: skip
        self._name = name or "dense"
        self._scope: VariableScope | None = None

    def __call__(self, inputs: object) -> Tensor:
        """The layer's output."""
        reuse = True if self._scope is not None else None
        if self._scope is None:
            with variable_scope(None, self._name) as scope:
                self._scope = scope
        with variable_scope(self._scope, reuse=reuse):
            return self._call(convert_to_tensor(inputs))
