"""`get_variable` and `variable_scope`: variables by name, shared between parts of a program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.initializers import Zeros, glorot_uniform_initializer, known
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.shapes import as_shape
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variables import Variable


class _AutoReuse:
    """The type of AUTO_REUSE."""

    def __repr__(self) -> str:
        return "<_ReuseMode.AUTO_REUSE: 1>"


AUTO_REUSE = _AutoReuse()
"""As `reuse`: take the variable if it exists, make it if it does not."""
Reuse: TypeAlias = "bool | _AutoReuse | None"
Regularizer: TypeAlias = Callable[[object], object]


@dataclass
class VariableScope:
    """Defaults for `get_variable`: the prefix of names, whether variables are shared, and so on."""

    name: str = ""
    reuse: Reuse = False
    initializer: object = None
    regularizer: Regularizer | None = None
    dtype: DType = dtypes.float32
    constraint: Callable[..., object] | None = None
    original_name_scope: str = ""
    custom_getter: Callable[..., object] | None = None

    def reuse_variables(self) -> None:
        """From now on `get_variable` takes variables that exist."""
        self.reuse = True

    def set_initializer(self, initializer: object) -> None:
        """Sets the default initializer."""
        self.initializer = initializer

    def set_regularizer(self, regularizer: Regularizer | None) -> None:
        """Sets the default regularizer."""
        self.regularizer = regularizer

    def _in_scope(self, key: str) -> list[object]:
        prefix = f"{self.name}/" if self.name else None
        return get_default_graph().get_collection(key, prefix)

    def global_variables(self) -> list[object]:
        """The global variables whose names start with the scope's."""
        return self._in_scope(GraphKeys.GLOBAL_VARIABLES)

    def trainable_variables(self) -> list[object]:
        """The trainable variables whose names start with the scope's."""
        return self._in_scope(GraphKeys.TRAINABLE_VARIABLES)


@dataclass
class _Variables:
    """A graph's variables made by `get_variable`, its current scope, and the use of scope names."""

    by_name: dict[str, Variable] = field(default_factory=dict)
    current: VariableScope = field(default_factory=VariableScope)
    uses: dict[str, int] = field(default_factory=dict)


def _of(graph: Graph) -> _Variables:
    found = graph.scoped.setdefault("variables", _Variables())
    assert isinstance(found, _Variables)
    return found


def get_variable_scope() -> VariableScope:
    """The current scope of the default graph."""
    return _of(get_default_graph()).current


@contextmanager
def variable_scope(
    name_or_scope: str | VariableScope | None,
    default_name: str | None = None,
    values: object = None,
    initializer: object = None,
    regularizer: Regularizer | None = None,
    caching_device: object = None,
    partitioner: object = None,
    custom_getter: Callable[..., object] | None = None,
    reuse: Reuse = None,
    dtype: object = None,
    use_resource: bool | None = None,
    constraint: Callable[..., object] | None = None,
    auxiliary_name_scope: bool = True,
) -> Iterator[VariableScope]:
    """Prefixes the names of ops and of variables; a scope that is entered again prefixes its
    variables alike, its ops anew (`scope_1/`)."""
    variables = _of(get_default_graph())
    outer = variables.current
    if isinstance(name_or_scope, VariableScope):
        inner, op_scope = replace(name_or_scope), name_or_scope.name.rpartition("/")[2]
        full = name_or_scope.name
    else:
        name = name_or_scope if name_or_scope is not None else _unused(variables, default_name)
        inner, op_scope = replace(outer), name
        full = f"{outer.name}/{name}" if outer.name and name else outer.name or name
        variables.uses[full] = variables.uses.get(full, 0) + 1
    inner.name = full
    inner.reuse = reuse or inner.reuse  # inner scopes inherit it
    inner.initializer = initializer if initializer is not None else inner.initializer
    inner.regularizer = regularizer or inner.regularizer
    inner.constraint = constraint or inner.constraint
    inner.custom_getter = custom_getter or inner.custom_getter
    inner.dtype = inner.dtype if dtype is None else dtypes.as_dtype(dtype)
    variables.current = inner
    try:
        if op_scope and auxiliary_name_scope:
            with name_scope(op_scope, None, values) as scope:
                inner.original_name_scope = scope
                yield inner
        else:
            yield inner
    finally:
        variables.current = outer


def _unused(variables: _Variables, default_name: str | None) -> str:
    """The default name, with `_1`, `_2` ... if a scope of that name has been opened."""
    if default_name is None:
        raise TypeError("If default_name is None then name_or_scope is required")
    prefix = f"{variables.current.name}/" if variables.current.name else ""
    name, count = default_name, 0
    while variables.uses.get(prefix + name, 0):
        count += 1
        name = f"{default_name}_{count}"
    return name


def get_variable(
    name: str,
    shape: object = None,
    dtype: object = None,
    initializer: object = None,
    regularizer: Regularizer | None = None,
    trainable: bool = True,
    collections: Sequence[str] | None = None,
    caching_device: object = None,
    partitioner: object = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Callable[..., object] | None = None,
    constraint: Callable[..., object] | None = None,
) -> Variable:
    """The variable of that name in the current scope: made, or taken if the scope says `reuse`.

    `initializer` is a function of shape and dtype, a tensor or a value; without one floats start
    Glorot-uniform, other types at zero.
    """
    variables = _of(get_default_graph())
    scope = variables.current
    full = f"{scope.name}/{name}" if scope.name else name
    kind = scope.dtype if dtype is None else dtypes.as_dtype(dtype)
    found = variables.by_name.get(full)
    if found is not None:
        return _reused(found, full, scope.reuse, shape, kind)
    if scope.reuse is True:
        raise ValueError(
            f"Variable {full} does not exist, or was not created with tf.get_variable(). Did you "
            "mean to set reuse=tf.AUTO_REUSE in VarScope?"
        )
    made_by = initializer if initializer is not None else scope.initializer
    if made_by is None:
        made_by = glorot_uniform_initializer() if kind.is_floating else Zeros()
    variable = _made(
        full, shape, kind, made_by, trainable, collections, validate_shape,
        constraint or scope.constraint,
    )  # fmt: skip
    variables.by_name[full] = variable
    _regularize(variable, name, regularizer or scope.regularizer)
    return variable


def _reused(found: Variable, name: str, reuse: Reuse, shape: object, dtype: DType) -> Variable:
    if not reuse:
        location = found.op.location
        raise ValueError(
            f"Variable {name} already exists, disallowed. Did you mean to set reuse=True or "
            f"reuse=tf.AUTO_REUSE in VarScope? Originally defined at:\n\n  File "
            f'"{location.file}", line {location.line}\n'
        )
    wanted = as_shape(shape)
    if not wanted.is_compatible_with(found.shape):
        raise ValueError(
            f"Trying to share variable {name}, but specified shape {wanted} and found shape "
            f"{found.shape}."
        )
    if found.dtype.base_dtype is not dtype.base_dtype:
        raise ValueError(
            f"Trying to share variable {name}, but specified dtype {dtype.name} and found dtype "
            f"{found.dtype.name}."
        )
    return found


def _made(
    name: str, shape: object, dtype: DType, initializer: object, trainable: bool,
    collections: Sequence[str] | None, validate_shape: bool,
    constraint: Callable[..., object] | None,
) -> Variable:  # fmt: skip
    if isinstance(initializer, type):
        initializer = initializer()
    initial: object = initializer
    if callable(initializer) and not isinstance(initializer, Convertible):
        if shape is None:
            raise ValueError(
                f"Shape of a new variable ({name}) must be fully defined, but instead was <unknown>."
            )
        sizes, make = known(shape), initializer

        def initial() -> Tensor:
            return convert_to_tensor(_call(make, sizes, dtype), dtype)

    elif shape is not None and not isinstance(initializer, Convertible):
        raise ValueError("If initializer is a constant, do not specify shape.")
    # A name scope of the op does not show in the variable's name.
    with get_default_graph().name_scope(None):
        return Variable(
            initial, trainable, collections, validate_shape, name=name,
            dtype=dtype if callable(initial) or not isinstance(initializer, Convertible) else None,
            constraint=constraint,
        )  # fmt: skip


def _call(make: Callable[..., object], sizes: tuple[int, ...], dtype: DType) -> object:
    """Initializers take the dtype by keyword; plain functions may take the shape alone."""
    parameters = inspect.signature(make).parameters.values()
    takes_dtype = any(p.name == "dtype" or p.kind is p.VAR_KEYWORD for p in parameters)
    return make(list(sizes), dtype=dtype) if takes_dtype else make(list(sizes))


def _regularize(variable: Variable, name: str, regularizer: Regularizer | None) -> None:
    if regularizer is None:
        return
    with name_scope(f"{variable.op.name}/Regularizer/"):
        loss = regularizer(variable)
    if loss is not None:
        get_default_graph().add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)
