"""`get_variable` and `variable_scope`: variables by name, shared between parts of a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias
from typing import cast as typed

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.initializers import Zeros, glorot_uniform_initializer, known
from tensorkiln.frontends.graph.partitioned_variable import PartitionedVariable
from tensorkiln.frontends.graph.partitioners import Partitioner
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.shapes import as_shape
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.variable_making import make_parts, make_variable
from tensorkiln.frontends.graph.variables import Variable


class _AutoReuse:
    """The type of AUTO_REUSE."""

    def __repr__(self) -> str:
        return "<_ReuseMode.AUTO_REUSE: 1>"


AUTO_REUSE = _AutoReuse()
"""As `reuse`: take the variable if it exists, make it if it does not."""
Reuse: TypeAlias = "bool | _AutoReuse | None"
Regularizer: TypeAlias = Callable[[object], object]
Getter: TypeAlias = Callable[..., object]


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
    custom_getter: Getter | None = None
    partitioner: Partitioner | None = None
    caching_device: object = None
    use_resource: bool | None = None

    def reuse_variables(self) -> None:
        """From now on `get_variable` takes variables that exist."""
        self.reuse = True

    def set_initializer(self, initializer: object) -> None:
        """Sets the default initializer."""
        self.initializer = initializer

    def set_partitioner(self, partitioner: Partitioner | None) -> None:
        """Sets the default partitioner."""
        self.partitioner = partitioner

    def set_custom_getter(self, custom_getter: Getter | None) -> None:
        """Sets the function that variables are asked of."""
        self.custom_getter = custom_getter

    def set_regularizer(self, regularizer: Regularizer | None) -> None:
        """Sets the default regularizer."""
        self.regularizer = regularizer

    def set_dtype(self, dtype: object) -> None:
        """Sets the default dtype."""
        self.dtype = dtypes.as_dtype(dtype)

    def set_caching_device(self, caching_device: object) -> None:
        """Accepted: there is one device, so nothing is cached on another."""
        self.caching_device = caching_device

    def set_use_resource(self, use_resource: bool | None) -> None:
        """Accepted: variables of both kinds are the same here."""
        self.use_resource = use_resource

    def get_variable(self, _var_store: object, name: str, **options: Any) -> object:
        """`tf.get_variable` in this scope; the first argument is not looked at."""
        with variable_scope(self, auxiliary_name_scope=False):
            return get_variable(name, **options)

    def get_collection(self, name: str) -> list[object]:
        """The items of a collection whose names start with the scope's."""
        return self._in_scope(name)

    def local_variables(self) -> list[object]:
        """The local variables whose names start with the scope's."""
        return self._in_scope(GraphKeys.LOCAL_VARIABLES)

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

    by_name: dict[str, Variable | PartitionedVariable] = field(default_factory=dict)
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
    partitioner: Partitioner | None = None,
    custom_getter: Getter | None = None,
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
        if not isinstance(name_or_scope, str | None):
            raise TypeError("VariableScope: name_or_scope must be a string or VariableScope.")
        name = name_or_scope if name_or_scope is not None else _unused(variables, default_name)
        inner, op_scope = replace(outer), name
        full = f"{outer.name}/{name}" if outer.name and name else outer.name or name
        variables.uses[full] = variables.uses.get(full, 0) + 1
    inner.name = full
    inner.reuse = reuse or inner.reuse  # inner scopes inherit it
    inner.initializer = initializer if initializer is not None else inner.initializer
    inner.regularizer = regularizer or inner.regularizer
    inner.constraint = constraint or inner.constraint
    inner.custom_getter = _wrapped(custom_getter, inner.custom_getter)
    inner.partitioner = partitioner or inner.partitioner
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


def _wrapped(getter: Getter | None, outer: Getter | None) -> Getter | None:
    """The getter of a scope in another: the one that it is given is the outer scope's."""
    if getter is None or outer is None:
        return getter or outer
    around: Getter = outer
    inside: Getter = getter

    def both(true_getter: Callable[..., object], name: str, **options: object) -> object:
        return inside(partial(around, true_getter), name, **options)

    return both


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
    partitioner: Partitioner | None = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Getter | None = None,
    constraint: Callable[..., object] | None = None,
    synchronization: object = None,
    aggregation: object = None,
) -> Variable:
    """The variable of that name in the current scope: made, or taken if the scope says `reuse`.

    `initializer` is a function of shape and dtype, a tensor or a value; without one floats start
    Glorot-uniform, other types at zero.  With a `partitioner` it is a PartitionedVariable.  A
    `custom_getter` (its own or the scope's) is called with the getter that makes variables, the
    full name and all these options, and what it returns is returned.
    """
    scope = _of(get_default_graph()).current
    full = f"{scope.name}/{name}" if scope.name and name else scope.name or name
    options: dict[str, object] = {
        "shape": shape,
        "dtype": scope.dtype if dtype is None else dtypes.as_dtype(dtype),
        "initializer": initializer if initializer is not None else scope.initializer,
        "regularizer": regularizer or scope.regularizer,
        "reuse": scope.reuse,
        "trainable": trainable,
        "collections": collections,
        "caching_device": caching_device,
        "partitioner": partitioner or scope.partitioner,
        "validate_shape": validate_shape,
        "use_resource": use_resource,
        "constraint": constraint or scope.constraint,
        "synchronization": synchronization,
        "aggregation": aggregation,
    }
    getter = custom_getter or scope.custom_getter
    found = _get(full, **options) if getter is None else getter(_get, full, **options)  # type: ignore[arg-type]
    return typed(Variable, found)  # whatever a getter gives, programs use it as a variable


def _get(
    name: str, shape: object = None, dtype: object = dtypes.float32, initializer: object = None,
    regularizer: Regularizer | None = None, reuse: Reuse = None, trainable: bool = True,
    collections: Sequence[str] | None = None, caching_device: object = None,
    partitioner: Partitioner | None = None, validate_shape: bool = True,
    use_resource: bool | None = None, constraint: Callable[..., object] | None = None,
    synchronization: object = None, aggregation: object = None,
) -> Variable | PartitionedVariable:  # fmt: skip
    """The variable of that full name."""
    variables, kind = _of(get_default_graph()), dtypes.as_dtype(dtype)
    found = variables.by_name.get(name)
    if found is not None:
        return _reused(found, name, reuse, shape, kind)
    if reuse is True:
        raise ValueError(
            f"Variable {name} does not exist, or was not created with tf.get_variable(). Did you "
            "mean to set reuse=tf.AUTO_REUSE in VarScope?"
        )
    made_by = initializer
    if made_by is None:
        made_by = glorot_uniform_initializer() if kind.is_floating else Zeros()
    if shape is not None and partitioner is None and not callable(made_by):
        raise ValueError("If initializer is a constant, do not specify shape.")
    options = (kind, made_by, trainable, collections, validate_shape, constraint)
    variable: Variable | PartitionedVariable
    whole = shape if shape is not None else getattr(initializer, "shape", None)
    if partitioner is not None and whole is not None and known(whole):
        variable = make_parts(name, known(whole), partitioner, *options)
    else:
        variable = make_variable(name, shape, *options)
    variables.by_name[name] = variable
    _regularize(variable, regularizer)
    return variable


def _reused(
    found: Variable | PartitionedVariable, name: str, reuse: Reuse, shape: object, dtype: DType
) -> Variable | PartitionedVariable:
    if not reuse and isinstance(found, PartitionedVariable):
        raise ValueError(
            f"Partitioned variable with name {name} already exists. Did you mean to set reuse=True "
            "or reuse=tf.AUTO_REUSE in VarScope?"
        )
    if not reuse:
        assert isinstance(found, Variable)
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


def _regularize(variable: Variable | PartitionedVariable, regularizer: Regularizer | None) -> None:
    if regularizer is None:
        return
    for part in variable if isinstance(variable, PartitionedVariable) else (variable,):
        with name_scope(f"{part.op.name}/Regularizer/"):
            loss = regularizer(part)
        if loss is not None:
            get_default_graph().add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)
