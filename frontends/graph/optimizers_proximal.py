"""Optimizers that solve a regularised problem at each step.

Formulas: TensorFlow's public documentation of each class and the papers named at the update ops.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.ops_constant import identity
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.optimizer import Optimizer, in_dtype_of
from tensorkiln.frontends.graph.optimizers import check_accumulator
from tensorkiln.frontends.graph.variables import Variable


class ProximalGradientDescentOptimizer(Optimizer):
    """A step down the gradient, then soft thresholding by l1 and shrinking by l2."""

    kind = "ApplyProximalGradientDescent"

    def __init__(
        self, learning_rate: object, l1_regularization_strength: object = 0.0,
        l2_regularization_strength: object = 0.0, use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._numbers = {
            "learning_rate": learning_rate,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
        }


class ProximalAdagradOptimizer(Optimizer):
    """An Adagrad step, then soft thresholding by l1 and shrinking by l2."""

    kind = "ApplyProximalAdagrad"
    slot_order = ("accumulator",)

    def __init__(
        self, learning_rate: object, initial_accumulator_value: float = 0.1,
        l1_regularization_strength: object = 0.0, l2_regularization_strength: object = 0.0,
        use_locking: bool = False, name: str = "ProximalAdagrad",
    ) -> None:  # fmt: skip
        check_accumulator(initial_accumulator_value)
        super().__init__(use_locking, name)
        self._initial = initial_accumulator_value
        self._numbers = {
            "learning_rate": learning_rate,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
        }

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._filled_slot(variable, "accumulator", self._name, self._initial)


class AdagradDAOptimizer(Optimizer):
    """Adagrad by dual averaging: the solution for all gradients so far, with l1 and l2."""

    kind = "ApplyAdagradDA"
    slot_order = ("gradient_accumulator", "gradient_squared_accumulator")

    def __init__(
        self, learning_rate: object, global_step: object,
        initial_gradient_squared_accumulator_value: float = 0.1,
        l1_regularization_strength: object = 0.0, l2_regularization_strength: object = 0.0,
        use_locking: bool = False, name: str = "AdagradDA",
    ) -> None:  # fmt: skip
        if initial_gradient_squared_accumulator_value <= 0.0:
            raise ValueError(
                "initial_gradient_squared_accumulator_value must be positive: "
                f"{initial_gradient_squared_accumulator_value}"
            )
        super().__init__(use_locking, name)
        self._initial = initial_gradient_squared_accumulator_value
        self._global_step = global_step
        self._numbers = {"learning_rate": learning_rate}
        self._regularization = (l1_regularization_strength, l2_regularization_strength)

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._filled_slot(variable, "gradient_accumulator", self._name, 0.0)
            self._filled_slot(variable, "gradient_squared_accumulator", self._name, self._initial)

    def _prepare(self) -> None:
        super()._prepare()
        self._step = cast(identity(self._global_step), dtypes.int64) + 1

    def _inputs(self, variable: Variable, gradient: Sequence[object]) -> Sequence[object]:
        dtype = variable.dtype.base_dtype
        slots = [self._slot(variable, name) for name in self.slot_order]
        l1, l2 = (cast(strength, dtype) for strength in self._regularization)
        rate = in_dtype_of(self._tensors["learning_rate"], variable)
        return (variable, *slots, *gradient, rate, l1, l2, self._step)


class FtrlOptimizer(Optimizer):
    """Follow the regularised leader with rates per coordinate."""

    slot_order = ("accum", "linear")

    def __init__(
        self, learning_rate: object, learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0, use_locking: bool = False, name: str = "Ftrl",
        accum_name: str | None = None, linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        at_least_zero = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for label, value in at_least_zero.items():
            if value < 0.0:
                raise ValueError(f"{label} {value} needs to be positive or zero")
        if learning_rate_power > 0.0:
            raise ValueError(
                f"learning_rate_power {learning_rate_power} needs to be negative or zero"
            )
        self._initial = initial_accumulator_value
        self._names = (accum_name or name, linear_name or name)
        self._numbers = {
            "learning_rate": learning_rate,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
        }
        if l2_shrinkage_regularization_strength > 0:
            self.kind = "ApplyFtrlV2"
            self._numbers["l2_shrinkage_regularization_strength"] = (
                l2_shrinkage_regularization_strength
            )
        else:
            self.kind = "ApplyFtrl"
        self._numbers["learning_rate_power"] = learning_rate_power

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for variable in variables:
            self._filled_slot(variable, "accum", self._names[0], self._initial)
            self._zeros_slot(variable, "linear", self._names[1])

    def _inputs(self, variable: Variable, gradient: Sequence[object]) -> Sequence[object]:
        slots = [self._slot(variable, name) for name in self.slot_order]
        return (variable, *slots, *gradient, *self._hyperparameters(variable))
