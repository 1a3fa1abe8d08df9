"""The optimizers.

Formulas: section "Semantics" of TensorFlow's public documentation of each class; slots and their
names are TensorFlow's, since checkpoints hold them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import fill, ones
from tensorkiln.frontends.graph.ops_state import assign
from tensorkiln.frontends.graph.optimizer import Optimizer, in_dtype_of
from tensorkiln.frontends.graph.scopes import control_dependencies, group
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variables import Variable


def _number(value: object, name: str) -> Tensor:
    """A hyperparameter (a number, a tensor, or a function that gives one) as a tensor."""
    return convert_to_tensor(value() if callable(value) else value, name=name)


class GradientDescentOptimizer(Optimizer):
    """w -= rate * g."""

    def __init__(
        self, learning_rate: object, use_locking: bool = False, name: str = "GradientDescent"
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate

    def _prepare(self) -> None:
        self._rate = _number(self._learning_rate, "learning_rate")

    def _apply(self, gradient: Tensor, variable: Variable) -> Operation:
        rate = in_dtype_of(self._rate, variable)
        return apply_op("ApplyGradientDescent", (variable, rate, gradient))


class MomentumOptimizer(Optimizer):
    """a = momentum * a + g; w -= rate * a (Nesterov: w -= rate * (g + momentum * a))."""

    def __init__(
        self, learning_rate: object, momentum: object, use_locking: bool = False,
        name: str = "Momentum", use_nesterov: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._momentum = momentum
        self._use_nesterov = use_nesterov

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._zeros_slot(variable, "momentum", self._name)

    def _prepare(self) -> None:
        self._rate = _number(self._learning_rate, "learning_rate")
        self._factor = _number(self._momentum, "momentum")

    def _apply(self, gradient: Tensor, variable: Variable) -> Operation:
        rate, factor = (in_dtype_of(t, variable) for t in (self._rate, self._factor))
        inputs = (variable, self._slot(variable, "momentum"), rate, gradient, factor)
        return apply_op("ApplyMomentum", inputs, attributes={"use_nesterov": self._use_nesterov})


class AdagradOptimizer(Optimizer):
    """a += g * g; w -= rate * g / sqrt(a); a starts at 0.1."""

    def __init__(
        self, learning_rate: object, initial_accumulator_value: float = 0.1,
        use_locking: bool = False, name: str = "Adagrad",
    ) -> None:  # fmt: skip
        if initial_accumulator_value <= 0.0:
            raise ValueError(
                f"initial_accumulator_value must be positive: {initial_accumulator_value}"
            )
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._initial = initial_accumulator_value

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            dims = variable.shape.as_list()
            self._make_slot(
                variable, "accumulator", self._name,
                lambda shape, dtype, dims=dims: fill(dims, convert_to_tensor(self._initial, dtype)),  # type: ignore[misc]
            )  # fmt: skip

    def _prepare(self) -> None:
        self._rate = _number(self._learning_rate, "learning_rate")

    def _apply(self, gradient: Tensor, variable: Variable) -> Operation:
        inputs = (
            variable, self._slot(variable, "accumulator"), in_dtype_of(self._rate, variable),
            gradient,
        )  # fmt: skip
        return apply_op("ApplyAdagrad", inputs)


class AdadeltaOptimizer(Optimizer):
    """Steps of the size of the root mean square of past steps (Zeiler, 2012), times the rate."""

    def __init__(
        self, learning_rate: object = 0.001, rho: object = 0.95, epsilon: object = 1e-8,
        use_locking: bool = False, name: str = "Adadelta",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._numbers = {"lr": learning_rate, "rho": rho, "epsilon": epsilon}

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._zeros_slot(variable, "accum", self._name)
            self._zeros_slot(variable, "accum_update", self._name)

    def _prepare(self) -> None:
        self._tensors = [_number(value, name) for name, value in self._numbers.items()]

    def _apply(self, gradient: Tensor, variable: Variable) -> Operation:
        slots = [self._slot(variable, name) for name in ("accum", "accum_update")]
        numbers = [in_dtype_of(tensor, variable) for tensor in self._tensors]
        return apply_op("ApplyAdadelta", (variable, *slots, *numbers, gradient))


class RMSPropOptimizer(Optimizer):
    """ms = decay * ms + (1 - decay) g * g, from one; mom = momentum * mom + rate * g /
    sqrt(ms + epsilon), with ms - mg * mg for ms if `centered`; w -= mom."""

    def __init__(
        self, learning_rate: object, decay: object = 0.9, momentum: object = 0.0,
        epsilon: object = 1e-10, use_locking: bool = False, centered: bool = False,
        name: str = "RMSProp",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._centered = centered
        self._numbers = {
            "learning_rate": learning_rate, "decay": decay, "momentum": momentum,
            "epsilon": epsilon,
        }  # fmt: skip

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._make_slot(variable, "rms", self._name, ones)
            if self._centered:
                self._zeros_slot(variable, "mg", self._name)
            self._zeros_slot(variable, "momentum", self._name)

    def _prepare(self) -> None:
        self._tensors = [_number(value, name) for name, value in self._numbers.items()]

    def _apply(self, gradient: Tensor, variable: Variable) -> Operation:
        names = ("mg", "rms", "momentum") if self._centered else ("rms", "momentum")
        slots = [self._slot(variable, name) for name in names]
        numbers = [in_dtype_of(tensor, variable) for tensor in self._tensors]
        kind = "ApplyCenteredRMSProp" if self._centered else "ApplyRMSProp"
        return apply_op(kind, (variable, *slots, *numbers, gradient))


class AdamOptimizer(Optimizer):
    """rate_t = rate * sqrt(1 - beta2^t) / (1 - beta1^t); w -= rate_t * m / (sqrt(v) + epsilon)."""

    def __init__(
        self, learning_rate: object = 0.001, beta1: object = 0.9, beta2: object = 0.999,
        epsilon: object = 1e-8, use_locking: bool = False, name: str = "Adam",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._numbers = {
            "learning_rate": learning_rate, "beta1": beta1, "beta2": beta2, "epsilon": epsilon,
        }  # fmt: skip
        self._powers: tuple[Variable, Variable] | None = None

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        first = min(variables, key=lambda v: v.name)
        beta1, beta2 = self._numbers["beta1"], self._numbers["beta2"]
        self._powers = (
            self._shared_variable("beta1_power", beta1, first),  # type: ignore[arg-type]
            self._shared_variable("beta2_power", beta2, first),  # type: ignore[arg-type]
        )
        for variable in variables:
            self._zeros_slot(variable, "m", self._name)
            self._zeros_slot(variable, "v", self._name)

    def _prepare(self) -> None:
        self._tensors = [_number(value, name) for name, value in self._numbers.items()]

    def _apply(self, gradient: Tensor, variable: Variable) -> Operation:
        assert self._powers is not None
        slots = [self._slot(variable, name) for name in ("m", "v")]
        powers = [in_dtype_of(power.value(), variable) for power in self._powers]
        numbers = [in_dtype_of(tensor, variable) for tensor in self._tensors]
        return apply_op("ApplyAdam", (variable, *slots, *powers, *numbers, gradient))

    def _finish(self, updates: Sequence[Operation], name: str) -> Operation:
        assert self._powers is not None
        _, beta1, beta2, _ = self._tensors
        with control_dependencies(updates):
            counts = [
                assign(power, power.value() * in_dtype_of(beta, power)).op
                for power, beta in zip(self._powers, (beta1, beta2), strict=True)
            ]
        return group(*updates, *counts, name=name)
