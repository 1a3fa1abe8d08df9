"""Optimizer: gradients of a loss, and the ops that apply them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.graph_keys import GraphKeys, trainable_variables
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import constant, zeros
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_gradient import gradients
from tensorkiln.frontends.graph.ops_state import assign_add
from tensorkiln.frontends.graph.scopes import control_dependencies, group, name_scope
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variables import Variable

Pair = tuple[Tensor | None, Variable]


class Optimizer(ABC):
    """Makes ops that lower a loss.

    A subclass says what its slots are, and how one variable is updated.
    """

    GATE_NONE = 0
    GATE_OP = 1
    GATE_GRAPH = 2

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._name = name
        self._use_locking = use_locking
        self._slots: dict[str, dict[Variable, Variable]] = {}
        self._shared: dict[tuple[Graph, str], Variable] = {}

    def get_name(self) -> str:
        """The name of the train op."""
        return self._name

    def minimize(
        self,
        loss: object,
        global_step: Variable | None = None,
        var_list: Sequence[Variable] | None = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: object = None,
        colocate_gradients_with_ops: bool = False,
        name: str | None = None,
        grad_loss: object = None,
    ) -> Operation:
        """The op that does one step: gradients of `loss`, then updates, then `global_step` + 1."""
        pairs = self.compute_gradients(
            loss, var_list, gate_gradients, aggregation_method, colocate_gradients_with_ops,
            grad_loss,
        )  # fmt: skip
        if all(gradient is None for gradient, _ in pairs):
            names = [str(variable) for _, variable in pairs]
            raise ValueError(
                "No gradients provided for any variable, check your graph for ops that do not "
                f"support gradients, between variables {names} and loss {loss}."
            )
        return self.apply_gradients(pairs, global_step, name)

    def compute_gradients(
        self,
        loss: object,
        var_list: Sequence[Variable] | None = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: object = None,
        colocate_gradients_with_ops: bool = False,
        grad_loss: object = None,
    ) -> list[Pair]:
        """Pairs of gradient (None without a path) and variable, the trainable ones unless given."""
        if var_list is None:
            variables = trainable_variables()
        else:
            variables = list(var_list) if isinstance(var_list, Iterable) else [var_list]
        if not variables:
            raise ValueError("No variables to optimize.")
        weights = None if grad_loss is None else [grad_loss]
        found = gradients([loss], variables, weights)
        return list(zip(found, variables, strict=True))

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[object, Variable]],
        global_step: Variable | None = None,
        name: str | None = None,
    ) -> Operation:
        """The op that updates each variable by its gradient, all gradients being computed first."""
        pairs = [
            (None if g is None else convert_to_tensor(g), variable)
            for g, variable in grads_and_vars
        ]
        if not pairs:
            raise ValueError("No variables provided.")
        known = [(g, variable) for g, variable in pairs if g is not None]
        if not known:
            names = [variable.name for _, variable in pairs]
            raise ValueError(f"No gradients provided for any variable: {names}.")
        with get_default_graph().control_dependencies(None):
            self._create_slots([variable for _, variable in known])
        with name_scope(name or self._name) as scope:
            self._prepare()
            updates: list[Operation] = []
            for gradient, variable in known:
                with name_scope(f"update_{variable.op.name}"):
                    updates.append(self._apply(gradient, variable))
            if global_step is None:
                train_op = self._finish(updates, scope)
            else:
                with control_dependencies([self._finish(updates, "update")]):
                    train_op = self._count(global_step, scope)
        get_default_graph().add_to_collection(GraphKeys.TRAIN_OP, train_op)
        return train_op

    def _count(self, global_step: Variable, scope: str) -> Operation:
        one = constant(1, global_step.dtype.base_dtype, name="value")
        return assign_add(global_step, one, name=scope).op

    # -- what subclasses fill in -----------------------------------------------------------

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        """Makes the slots of the variables; by default there are none."""
        return

    @abstractmethod
    def _prepare(self) -> None:
        """Turns the hyperparameters into tensors."""

    @abstractmethod
    def _apply(self, gradient: Tensor, variable: Variable) -> Operation:
        """The op that updates one variable."""

    def _finish(self, updates: Sequence[Operation], name: str) -> Operation:
        """The op that has run when all updates have."""
        return group(*updates, name=name)

    # -- slots -----------------------------------------------------------------------------

    def get_slot(self, var: Variable, name: str) -> Variable | None:
        """The slot `name` of a variable, or None."""
        return self._slots.get(name, {}).get(var)

    def get_slot_names(self) -> list[str]:
        """The names of the slots."""
        return sorted(self._slots)

    def variables(self) -> list[Variable]:
        """The variables that the optimizer keeps."""
        slots = [slot for by_variable in self._slots.values() for slot in by_variable.values()]
        return sorted([*slots, *self._shared.values()], key=lambda v: v.name)

    def _slot(self, variable: Variable, name: str) -> Variable:
        return self._slots[name][variable]

    def _zeros_slot(self, variable: Variable, name: str, op_name: str) -> None:
        self._make_slot(variable, name, op_name, zeros)

    def _make_slot(
        self, variable: Variable, name: str, op_name: str,
        initial: Callable[[object, object], Tensor],
    ) -> None:  # fmt: skip
        """A variable of the same shape, named `<variable>/<op_name>`, unless it exists."""
        slots = self._slots.setdefault(name, {})
        if variable in slots:
            return
        shape, dtype = variable.shape, variable.dtype.base_dtype
        with variable.graph.name_scope(None):
            slots[variable] = Variable(
                lambda: initial(shape, dtype), trainable=False,
                name=f"{variable.op.name}/{op_name}",
            )  # fmt: skip

    def _shared_variable(self, name: str, value: float, like: Variable) -> Variable:
        """A scalar that all variables share, named at the root of the graph."""
        key = (like.graph, name)
        if key not in self._shared:
            with like.graph.name_scope(None):
                self._shared[key] = Variable(
                    value, trainable=False, name=name, dtype=like.dtype.base_dtype
                )
        return self._shared[key]


def in_dtype_of(tensor: Tensor, variable: Variable) -> Tensor:
    """A hyperparameter in the variable's dtype."""
    return cast(tensor, variable.dtype.base_dtype)
