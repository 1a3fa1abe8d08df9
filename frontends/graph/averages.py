"""Moving averages of variables and tensors."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.graph_keys import (
    GraphKeys,
    global_variables,
    moving_average_variables,
    trainable_variables,
)  # fmt: skip
from tensorkiln.frontends.graph.initializers import Zeros
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import zeros
from tensorkiln.frontends.graph.ops_elementwise import cast, minimum, pow_
from tensorkiln.frontends.graph.ops_state import assign_add, assign_sub
from tensorkiln.frontends.graph.optimizer import new_slot
from tensorkiln.frontends.graph.scopes import control_dependencies, group, name_scope
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import get_variable, variable_scope
from tensorkiln.frontends.graph.variables import Variable


def assign_moving_average(
    variable: Variable, value: object, decay: object, zero_debias: bool = True,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """variable -= (variable - value) * (1 - decay).

    With `zero_debias` the variable holds the average divided by 1 - decay ** steps, so that a
    start at zero does not pull it down (Kingma, Ba: Adam, 2014, section 3).
    """
    with name_scope(name, "AssignMovingAvg", [variable, value]) as scope:
        dtype = variable.dtype.base_dtype
        rest = cast(1.0 - convert_to_tensor(decay, name="decay"), dtype)
        new = convert_to_tensor(value)
        if zero_debias:
            return assign_sub(variable, _debiased_change(variable, new, rest), name=scope)
        return assign_sub(variable, (variable - new) * rest, name=scope)


def _debiased_change(variable: Variable, value: Tensor, rest: Tensor) -> Tensor:
    dtype = variable.dtype.base_dtype
    with variable_scope(variable.op.name, values=[variable, value], auxiliary_name_scope=False):
        biased = get_variable("biased", variable.shape, dtype, Zeros(), trainable=False)
        steps = get_variable("local_step", (), dtype, Zeros(), trainable=False)
    changed = assign_sub(biased, (biased - value) * rest)
    counted = assign_add(steps, 1.0)
    with control_dependencies([changed, counted]):
        share = 1.0 - pow_(1.0 - rest, steps.read_value())
        return variable - biased.read_value() / share


class ExponentialMovingAverage:
    """Shadows of variables: shadow = decay * shadow + (1 - decay) * variable.

    With `num_updates` the decay is at most (1 + n) / (10 + n).
    """

    def __init__(
        self, decay: object, num_updates: object = None, zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:  # fmt: skip
        self._decay = decay
        self._num_updates = num_updates
        self._zero_debias = zero_debias
        self._name = name
        self._averages: dict[Convertible, Variable] = {}

    @property
    def name(self) -> str:
        """The name of the shadows' slots and of the op."""
        return self._name

    def apply(self, var_list: Sequence[Variable | Tensor] | None = None) -> Operation:
        """The op that moves the shadows (the trainable variables' unless given); TypeError for
        what is not float."""
        variables = trainable_variables() if var_list is None else list(var_list)
        debias: set[Variable] = set()
        for variable in variables:
            if variable.dtype.base_dtype not in FLOATS:
                raise TypeError(f"The variables must be half, float, or double: {variable.name}")
            if variable in self._averages:
                continue
            shadow = self._shadow(variable)
            self._averages[variable] = shadow
            if self._zero_debias and not isinstance(variable, Variable):
                debias.add(shadow)
        with name_scope(self._name) as scope:
            decay = convert_to_tensor(self._decay, name="decay")
            if self._num_updates is not None:
                count = cast(self._num_updates, dtypes.float32, name="num_updates")
                decay = minimum(decay, (1.0 + count) / (10.0 + count))
            updates = [
                assign_moving_average(shadow, v, decay, shadow in debias)
                for v in variables
                for shadow in (self._averages[v],)
            ]
            return group(*updates, name=scope)

    def _shadow(self, variable: Variable | Tensor) -> Variable:
        graph = get_default_graph()
        with graph.control_dependencies(None):
            if not isinstance(variable, Variable):
                return new_slot(variable, self._name, zeros)
            start = variable.initialized_value()
            graph.add_to_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, variable)
            return new_slot(variable, self._name, lambda shape, dtype: start, False)

    def average(self, var: Variable | Tensor) -> Variable | None:
        """The shadow of a variable, or None."""
        return self._averages.get(var)

    def average_name(self, var: Variable | Tensor) -> str:
        """The name that the shadow has or will have."""
        if var in self._averages:
            return self._averages[var].op.name
        return get_default_graph().unique_name(f"{var.op.name}/{self._name}", mark_as_used=False)

    def variables_to_restore(
        self, moving_avg_variables: Sequence[Variable] | None = None
    ) -> dict[str, Variable]:
        """Names of shadows to the variables that take their values; other variables by their own
        names."""
        averaged = moving_avg_variables
        if averaged is None:
            averaged = [*trainable_variables(), *moving_average_variables()]
        found = {self.average_name(v): v for v in dict.fromkeys(averaged)}
        names = {v.name for v in averaged}
        for variable in global_variables():
            if variable.name not in names and variable.op.name not in found:
                found[variable.op.name] = variable
        return found
