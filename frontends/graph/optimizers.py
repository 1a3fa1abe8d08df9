"""The optimizers that scale each step by what is known of past gradients.

Formulas: section "Semantics" of TensorFlow's public documentation of each class; slots and their
names are TensorFlow's, since checkpoints hold them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.indexed_slices import IndexedSlices
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_state import assign
from tensorkiln.frontends.graph.optimizer import Optimizer, in_dtype_of
from tensorkiln.frontends.graph.scopes import control_dependencies, group
from tensorkiln.frontends.graph.variables import Variable


class GradientDescentOptimizer(Optimizer):
    """w -= rate * g."""

    kind = "ApplyGradientDescent"

    def __init__(
        self, learning_rate: object, use_locking: bool = False, name: str = "GradientDescent"
    ) -> None:
        super().__init__(use_locking, name)
        self._numbers = {"learning_rate": learning_rate}


class MomentumOptimizer(Optimizer):
    """a = momentum * a + g; w -= rate * a (Nesterov: w -= rate * (g + momentum * a))."""

    kind = "ApplyMomentum"
    slot_order = ("momentum",)

    def __init__(
        self, learning_rate: object, momentum: object, use_locking: bool = False,
        name: str = "Momentum", use_nesterov: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._numbers = {"learning_rate": learning_rate, "momentum": momentum}
        self._use_nesterov = use_nesterov

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._zeros_slot(variable, "momentum", self._name)

    def _inputs(self, variable: Variable, gradient: Sequence[object]) -> Sequence[object]:
        rate, factor = self._hyperparameters(variable)
        return (variable, self._slot(variable, "momentum"), rate, *gradient, factor)

    def _attributes(self) -> Mapping[str, object]:
        return {"use_nesterov": self._use_nesterov}


class AdagradOptimizer(Optimizer):
    """a += g * g; w -= rate * g / sqrt(a); a starts at 0.1."""

    kind = "ApplyAdagrad"
    slot_order = ("accumulator",)

    def __init__(
        self, learning_rate: object, initial_accumulator_value: float = 0.1,
        use_locking: bool = False, name: str = "Adagrad",
    ) -> None:  # fmt: skip
        check_accumulator(initial_accumulator_value)
        super().__init__(use_locking, name)
        self._numbers = {"learning_rate": learning_rate}
        self._initial = initial_accumulator_value

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._filled_slot(variable, "accumulator", self._name, self._initial)


class AdadeltaOptimizer(Optimizer):
    """Steps of the size of the root mean square of past steps (Zeiler, 2012), times the rate."""

    kind = "ApplyAdadelta"
    slot_order = ("accum", "accum_update")

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
        self.kind = "ApplyCenteredRMSProp" if centered else "ApplyRMSProp"
        self.slot_order = ("mg", "rms", "momentum") if centered else ("rms", "momentum")
        self._numbers = {
            "learning_rate": learning_rate, "decay": decay, "momentum": momentum,
            "epsilon": epsilon,
        }  # fmt: skip

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._ones_slot(variable, "rms", self._name)
            if self._centered:
                self._zeros_slot(variable, "mg", self._name)
            self._zeros_slot(variable, "momentum", self._name)


class AdamOptimizer(Optimizer):
    """rate_t = rate * sqrt(1 - beta2^t) / (1 - beta1^t); w -= rate_t * m / (sqrt(v) + epsilon).

    For gradients of rows the moments of all rows decay, as if the gradient were dense.
    """

    kind = "ApplyAdam"
    slot_order = ("m", "v")

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
        self._powers = (
            self._shared_variable("beta1_power", self._numbers["beta1"], first),
            self._shared_variable("beta2_power", self._numbers["beta2"], first),
        )
        for variable in variables:
            self._zeros_slot(variable, "m", self._name)
            self._zeros_slot(variable, "v", self._name)

    def _inputs(self, variable: Variable, gradient: Sequence[object]) -> Sequence[object]:
        assert self._powers is not None
        slots = [self._slot(variable, name) for name in self.slot_order]
        powers = [in_dtype_of(power.value(), variable) for power in self._powers]
        return (variable, *slots, *powers, *self._hyperparameters(variable), *gradient)

    def _apply_sparse(self, gradient: IndexedSlices, variable: Variable) -> Operation:
        return self._apply_dense(convert_to_tensor(gradient), variable)

    def _finish(self, updates: Sequence[Operation], name: str) -> Operation:
        assert self._powers is not None
        betas = (self._tensors["beta1"], self._tensors["beta2"])
        with control_dependencies(updates):
            counts = [
                assign(power, power.value() * in_dtype_of(beta, power)).op
                for power, beta in zip(self._powers, betas, strict=True)
            ]
        return group(*updates, *counts, name=name)


class LazyAdamOptimizer(AdamOptimizer):
    """Adam whose moments decay only for the rows that a gradient has."""

    def _apply_sparse(self, gradient: IndexedSlices, variable: Variable) -> Operation:
        return Optimizer._apply_sparse(self, gradient, variable)


class NadamOptimizer(AdamOptimizer):
    """Adam with Nesterov momentum (Dozat, 2015): the step is beta1 * m + (1 - beta1) * g."""

    def _attributes(self) -> Mapping[str, object]:
        return {"use_nesterov": True}


class AdaMaxOptimizer(AdamOptimizer):
    """Adam with the largest gradient so far (decaying by beta2) in place of the root mean square."""

    kind = "ApplyAdaMax"

    def __init__(
        self, learning_rate: object = 0.001, beta1: object = 0.9, beta2: object = 0.999,
        epsilon: object = 1e-8, use_locking: bool = False, name: str = "AdaMax",
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, beta1, beta2, epsilon, use_locking, name)

    def _inputs(self, variable: Variable, gradient: Sequence[object]) -> Sequence[object]:
        inputs = list(super()._inputs(variable, gradient))
        del inputs[4]  # beta2_power
        return inputs

    def _apply_sparse(self, gradient: IndexedSlices, variable: Variable) -> Operation:
        return Optimizer._apply_sparse(self, gradient, variable)


def check_accumulator(value: float) -> None:
    """ValueError unless an accumulator's initial value is positive."""
    if value <= 0.0:
        raise ValueError(f"initial_accumulator_value must be positive: {value}")
