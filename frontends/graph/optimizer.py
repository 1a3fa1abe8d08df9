"""Optimizer: gradients of a loss, and the ops that apply them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.graph_keys import GraphKeys, trainable_variables
from tensorkiln.frontends.graph.indexed_slices import (
    IndexedSlices,
    convert_to_tensor_or_indexed_slices,
)
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_apply_sparse import apply_rows
from tensorkiln.frontends.graph.ops_constant import constant, ones, zeros
from tensorkiln.frontends.graph.ops_elementwise import cast
from tensorkiln.frontends.graph.ops_gradient import Gradient, gradients
from tensorkiln.frontends.graph.ops_state import assign_add
from tensorkiln.frontends.graph.scopes import control_dependencies, group, name_scope, tuple_
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import get_variable_scope
from tensorkiln.frontends.graph.variables import Variable

Pair = tuple[Gradient, Variable]


class Optimizer:
    """Makes ops that lower a loss.

    A subclass names the op that updates a variable (`kind`), its slots in the order in which the
    op takes them (name -> initial value: a number, which then is repeated) and its
    hyperparameters in that order; `make_update` may be overridden where that does not do.
    """

    GATE_NONE = 0
    GATE_OP = 1
    GATE_GRAPH = 2

    kind = ""
    slot_order: tuple[str, ...] = ()

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._name = name
        self._use_locking = use_locking
        self._slots: dict[str, dict[Variable, Variable]] = {}
        self._shared: dict[tuple[Graph, str], Variable] = {}
        self._numbers: dict[str, object] = {}
        self._tensors: dict[str, Tensor] = {}

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
        """Pairs of gradient (None without a path) and variable, the trainable ones unless given.

        TypeError for what is no variable, ValueError for a loss or variable that is not float.
        """
        if gate_gradients not in (self.GATE_NONE, self.GATE_OP, self.GATE_GRAPH):
            raise ValueError(
                "gate_gradients must be one of: Optimizer.GATE_NONE, Optimizer.GATE_OP, "
                f"Optimizer.GATE_GRAPH.  Not {gate_gradients}"
            )
        score = convert_to_tensor(loss)
        _check_float(score)
        if var_list is None:
            variables = trainable_variables()
        else:
            variables = list(var_list) if isinstance(var_list, Iterable) else [var_list]
        if not variables:
            raise ValueError("No variables to optimize.")
        for variable in variables:
            if not isinstance(variable, Variable):
                raise TypeError(f"Argument is not a tf.Variable: {variable}")
        weights = None if grad_loss is None else [grad_loss]
        found = gradients([score], variables, weights, aggregation_method=aggregation_method)
        if gate_gradients == self.GATE_GRAPH:
            found = _gated(found)
        pairs = list(zip(found, variables, strict=True))
        for gradient, variable in pairs:
            if gradient is not None:
                _check_float(variable._as_tensor())
        return pairs

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[object, Variable]],
        global_step: Variable | None = None,
        name: str | None = None,
    ) -> Operation:
        """The op that updates each variable by its gradient, all gradients being computed first."""
        pairs = [
            (None if g is None else convert_to_tensor_or_indexed_slices(g), variable)
            for g, variable in grads_and_vars
        ]
        if not pairs:
            raise ValueError("No variables provided.")
        known = [(g, variable) for g, variable in pairs if g is not None]
        if not known:
            names = [str(variable) for _, variable in pairs]
            raise ValueError(f"No gradients provided for any variable: {names}.")
        with get_default_graph().control_dependencies(None):
            self._create_slots([variable for _, variable in known])
        with name_scope(name or self._name) as scope:
            self._prepare()
            updates: list[Operation] = []
            for gradient, variable in known:
                with name_scope(f"update_{variable.op.name}"):
                    updates.append(self._constrained(gradient, variable))
            if global_step is None:
                train_op = self._finish(updates, scope)
            else:
                with control_dependencies([self._finish(updates, "update")]):
                    train_op = self._count(global_step, scope)
        graph = get_default_graph()
        if train_op not in graph.get_collection_ref(GraphKeys.TRAIN_OP):
            graph.add_to_collection(GraphKeys.TRAIN_OP, train_op)
        return train_op

    def _count(self, global_step: Variable, scope: str) -> Operation:
        one = constant(1, global_step.dtype.base_dtype, name="value")
        return assign_add(global_step, one, name=scope).op

    def _constrained(self, gradient: Tensor | IndexedSlices, variable: Variable) -> Operation:
        if isinstance(gradient, IndexedSlices):
            update = self._apply_sparse(gradient, variable)
        else:
            update = self._apply_dense(gradient, variable)
        if variable.constraint is None:
            return update
        with control_dependencies([update]):
            return variable.assign(variable.constraint(variable.read_value())).op

    # -- what subclasses fill in -----------------------------------------------------------

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        """Makes the slots of the variables; by default there are none."""
        return

    def _prepare(self) -> None:
        """Turns the hyperparameters into tensors."""
        self._tensors = {name: _tensor(value, name) for name, value in self._numbers.items()}

    def _inputs(self, variable: Variable, gradient: Sequence[object]) -> Sequence[object]:
        """What the update op takes: variable, slots, hyperparameters, gradient."""
        slots = [self._slot(variable, name) for name in self.slot_order]
        return (variable, *slots, *self._hyperparameters(variable), *gradient)

    def _hyperparameters(self, variable: Variable) -> list[Tensor]:
        """The hyperparameters in the variable's dtype."""
        return [in_dtype_of(tensor, variable) for tensor in self._tensors.values()]

    def _attributes(self) -> Mapping[str, object]:
        """Attributes of the update op."""
        return {}

    def _apply_dense(self, gradient: Tensor, variable: Variable) -> Operation:
        """The op that updates one variable."""
        return apply_op(
            self.kind, self._inputs(variable, [gradient]), attributes=self._attributes()
        )

    def _apply_sparse(self, gradient: IndexedSlices, variable: Variable) -> Operation:
        """The op that updates the rows of one variable that the gradient has."""
        inputs = self._inputs(variable, [gradient.values, gradient.indices])
        return apply_rows(self.kind, inputs, self._attributes())

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
        """The variables that the optimizer keeps in the default graph."""
        graph = get_default_graph()
        slots = [slot for by_variable in self._slots.values() for slot in by_variable.values()]
        kept = [v for v in (*slots, *self._shared.values()) if v.graph is graph]
        return sorted(kept, key=lambda v: v.name)

    def _slot(self, variable: Variable, name: str) -> Variable:
        return self._slots[name][variable]

    def _zeros_slot(self, variable: Variable, name: str, op_name: str) -> Variable:
        return self._make_slot(variable, name, op_name, zeros)

    def _ones_slot(self, variable: Variable, name: str, op_name: str) -> Variable:
        return self._make_slot(variable, name, op_name, ones)

    def _filled_slot(self, variable: Variable, name: str, op_name: str, value: object) -> Variable:
        """A slot whose elements all start at `value`."""
        return self._make_slot(
            variable, name, op_name,
            lambda shape, dtype: constant(value, dtype, shape), initializer_scope=False,
        )  # fmt: skip

    def _make_slot(
        self, variable: Variable, name: str, op_name: str,
        initial: Callable[[object, object], Tensor], initializer_scope: bool = True,
    ) -> Variable:  # fmt: skip
        """A variable of the same shape, named `<variable>/<op_name>`, unless it exists."""
        slots = self._slots.setdefault(name, {})
        if variable in slots:
            return slots[variable]
        slots[variable] = new_slot(variable, op_name, initial, initializer_scope)
        return slots[variable]

    def _shared_variable(self, name: str, value: object, like: Variable) -> Variable:
        """A scalar that all variables share."""
        key = (like.graph, name)
        if key not in self._shared:
            self._shared[key] = Variable(
                value, trainable=False, name=name, dtype=like.dtype.base_dtype
            )
        return self._shared[key]


def new_slot(
    variable: Variable | Tensor, op_name: str, initial: Callable[[object, object], Tensor],
    initializer_scope: bool = True,
) -> Variable:  # fmt: skip
    """A variable that belongs to another one: `<scope>/<variable>/<op_name>`, of its shape."""
    shape, dtype = variable.shape, variable.dtype.base_dtype
    scope = get_variable_scope().name
    label = f"{variable.op.name}/{op_name}"
    with variable.graph.as_default():
        start: object = None
        if not initializer_scope:
            start = initial(shape, dtype)
        with variable.graph.name_scope(None):
            return Variable(
                (lambda: initial(shape, dtype)) if start is None else start, trainable=False,
                name=f"{scope}/{label}" if scope else label,
            )  # fmt: skip


def in_dtype_of(tensor: Tensor, variable: Variable) -> Tensor:
    """A hyperparameter in the variable's dtype."""
    return cast(tensor, variable.dtype.base_dtype)


def _tensor(value: object, name: str) -> Tensor:
    """A hyperparameter (a number, a tensor, or a function that gives one) as a tensor."""
    return convert_to_tensor(value() if callable(value) else value, name=name)


def _check_float(tensor: Tensor) -> None:
    if tensor.dtype.base_dtype not in FLOATS:
        raise ValueError(
            f"Invalid type {tensor.dtype.base_dtype!r} for {tensor.name}, expected: {list(FLOATS)}."
        )


def _gated(found: Sequence[Gradient]) -> list[Gradient]:
    """The gradients, none available before all are."""
    dense = [g for g in found if isinstance(g, Tensor)]
    gates = dict(zip(dense, tuple_(dense), strict=True)) if dense else {}
    return [gates[g] if isinstance(g, Tensor) else g for g in found]
