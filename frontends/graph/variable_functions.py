"""Functions of variables: local ones, those without a value, templates, tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.graph_keys import (
    GraphKeys,
    get_collection,
    global_variables,
    local_variables,
)
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import no_op
from tensorkiln.frontends.graph.partitioned_variable import PartitionedVariable
from tensorkiln.frontends.graph.scopes import group, name_scope
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import (
    VariableScope,
    get_variable,
    variable_scope,
)  # fmt: skip
from tensorkiln.frontends.graph.variables import Variable, is_variable_initialized


def get_local_variable(name: str, shape: object = None, **options: object) -> Variable:
    """`get_variable` for a variable that is neither trained nor saved."""
    given = options.pop("collections", None)
    keys = list(given) if isinstance(given, list | tuple) else []
    options.pop("trainable", None)
    return get_variable(
        name, shape, trainable=False, collections=[*keys, GraphKeys.LOCAL_VARIABLES],
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


def create_partitioned_variables(
    shape: object, slicing: Sequence[int], initializer: object, dtype: object = dtypes.float32,
    trainable: bool = True, collections: Sequence[str] | None = None, name: str | None = None,
    reuse: bool | None = None,
) -> list[Variable]:  # fmt: skip
    """The parts of a new variable that is cut into `slicing[k]` parts along dim k."""
    with variable_scope(name, "PartitionedVariable", reuse=reuse):
        found: object = get_variable(
            "", shape, dtype, initializer, trainable=trainable, collections=collections,
            partitioner=lambda **unused: list(slicing),
        )  # fmt: skip
        assert isinstance(found, PartitionedVariable)
        return list(found)


def report_uninitialized_variables(
    var_list: Sequence[Variable] | None = None, name: str = "report_uninitialized_variables"
) -> Tensor:
    """The names of the variables (global and local ones unless given) that have no value."""
    variables = [*global_variables(), *local_variables()] if var_list is None else list(var_list)
    with name_scope(name):
        if not variables:
            return make("UninitializedNames", (np.zeros(0, np.bool_),), names=())
        flags = [is_variable_initialized(variable) for variable in variables]
        stacked = make("Pack", (flags,), axis=0)
        names = tuple(variable.op.name for variable in variables)
        return make("UninitializedNames", (stacked,), names=names)


def _names(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    names = op.attributes["names"]
    assert isinstance(names, tuple)
    missing = [name.encode() for name, known in zip(names, arrays[0], strict=True) if not known]
    return [np.array(missing, object)]


def assert_variables_initialized(var_list: Sequence[Variable] | None = None) -> Operation | None:
    """An op that fails with FailedPreconditionError while a variable has no value."""
    variables = [*global_variables(), *local_variables()] if var_list is None else list(var_list)
    return group(*[v.read_value() for v in variables]) if variables else None


def tables_initializer(name: str = "init_all_tables") -> Operation:
    """An op that runs the initializers of the collection of tables."""
    found = get_collection(GraphKeys.TABLE_INITIALIZERS)
    return group(*found, name=name) if found else no_op(name)


def op_scope(
    values: object, name: str | None, default_name: str | None = None
) -> AbstractContextManager[str]:
    """`name_scope` with the order of arguments of version 0."""
    return name_scope(name, default_name, values)


def variable_op_scope(
    values: object, name_or_scope: str | VariableScope | None, default_name: str | None = None,
    **options: object,
) -> AbstractContextManager[VariableScope]:  # fmt: skip
    """`variable_scope` with the order of arguments of version 0."""
    return variable_scope(name_or_scope, default_name, values, **options)  # type: ignore[arg-type]


def make_template(
    name_: str, func_: Callable[..., object], create_scope_now_: bool = False,
    unique_name_: str | None = None, custom_getter_: object = None, **kwargs: object,
) -> Callable[..., object]:  # fmt: skip
    """`func_`, whose variables are made at its first call and shared by all later ones."""
    made = _Template(name_, func_, unique_name_, kwargs)
    if create_scope_now_:
        made.open()
    return made


class _Template:
    """A function and the scope of its variables."""

    def __init__(
        self, name: str, function: Callable[..., object], unique: str | None,
        options: dict[str, object],
    ) -> None:  # fmt: skip
        self._name, self._function, self._unique = name, function, unique
        self._options = options
        self._scope: VariableScope | None = None
        self._called = False

    def open(self) -> VariableScope:
        """The scope, made the first time."""
        if self._scope is None:
            with variable_scope(self._unique, self._name) as scope:
                self._scope = scope
        return self._scope

    @property
    def variable_scope(self) -> VariableScope:
        """The scope of the variables."""
        return self.open()

    def __call__(self, *arguments: object, **options: object) -> object:
        reuse = True if self._called else None
        with variable_scope(self.open(), reuse=reuse):
            self._called = True
            return self._function(*arguments, **{**self._options, **options})


def timestamp(name: str | None = None) -> Tensor:
    """The seconds since 1970 when the op runs, float64."""
    return make("Timestamp", (), name)


def _timestamp(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.array(time.time())]


def _strings(op: Operation) -> Sequence[Result]:
    return [(dtypes.string, (None,))]


register(
    OpKind("UninitializedNames", "flags:bool", _strings, host_only, host=_names,
           differentiable=False),
    OpKind("Timestamp", "", lambda op: [(dtypes.float64, ())], host_only, host=_timestamp,
           differentiable=False),
)  # fmt: skip
