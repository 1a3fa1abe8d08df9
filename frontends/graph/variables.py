"""Variable: state that a session keeps between runs."""

from __future__ import annotations

import functools
import inspect
from abc import ABCMeta
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.creators import creators_of
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.graph_keys import GraphKeys, global_variables, local_variables
from tensorkiln.frontends.graph.indexing import index_tensor
from tensorkiln.frontends.graph.lifted import lifted
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.operators import Operand
from tensorkiln.frontends.graph.ops_constant import no_op
from tensorkiln.frontends.graph.ops_slice_assign import settable
from tensorkiln.frontends.graph.ops_state import assign, assign_add, assign_sub, count_up_to
from tensorkiln.frontends.graph.scopes import group
from tensorkiln.frontends.graph.shapes import Sizes, TensorShape, show
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scatter import Scattering

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.graph import Graph
    from tensorkiln.frontends.graph.session import BaseSession


class _Creatable(ABCMeta):
    """Lets the creators of the current scopes (`creators.creator_scope`) make a new variable."""

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        creators = creators_of(get_default_graph())
        if not creators:
            return super().__call__(*arguments, **options)
        given = inspect.signature(cls.__init__).bind(None, *arguments, **options)  # type: ignore[misc]
        given.apply_defaults()
        make: Callable[..., Any] = functools.partial(super().__call__)
        for creator in creators:
            make = functools.partial(creator, make)
        return make(**{name: v for name, v in given.arguments.items() if name != "self"})


class Variable(Scattering, Operand, metaclass=_Creatable):
    """A tensor that keeps its value between runs of a session and that `assign` changes.

    `initial_value` is anything that converts to a tensor, or a function that makes it.
    """

    def __init__(
        self,
        initial_value: object = None,
        trainable: bool = True,
        collections: Sequence[str] | None = None,
        validate_shape: bool = True,
        caching_device: object = None,
        name: str | None = None,
        variable_def: object = None,
        dtype: object = None,
        expected_shape: object = None,
        import_scope: str | None = None,
        constraint: Callable[..., object] | None = None,
        use_resource: bool | None = None,
    ) -> None:
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        graph = get_default_graph()
        wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
        self.trainable = trainable
        self.constraint = constraint
        with (
            graph.control_dependencies(None),
            lifted(graph),
            graph.name_scope(name or "Variable") as scope,
        ):
            if callable(initial_value):
                with graph.name_scope("Initializer"):
                    initial = convert_to_tensor(initial_value(), wanted, "initial_value")
            else:
                initial = convert_to_tensor(initial_value, wanted, "initial_value")
            if validate_shape and initial.sizes is None:
                raise ValueError(f"initial_value must have a shape specified: {initial}")
            self._initial = initial
            base = initial.dtype.base_dtype
            sizes: Sizes = initial.sizes if validate_shape else None
            self._ref = make("VariableV2", (), scope, dtype=base, shape=sizes)
            self._initializer = assign(self._ref, initial, validate_shape, name="Assign").op
            self._snapshot = make("Identity", (self._ref,), "read", _read=True)
        keys = [GraphKeys.GLOBAL_VARIABLES] if collections is None else list(collections)
        if trainable and GraphKeys.TRAINABLE_VARIABLES not in keys:
            keys.append(GraphKeys.TRAINABLE_VARIABLES)
        graph.add_to_collections(keys, self)

    @classmethod
    def of_operations(
        cls, variable: Tensor, initializer: Operation, snapshot: Tensor, initial_value: Tensor,
        trainable: bool = True,
    ) -> Variable:  # fmt: skip
        """A variable whose operations are in the graph already, as those of an imported one."""
        made = cls.__new__(cls)
        made.trainable, made.constraint = trainable, None
        made._ref, made._initializer = variable, initializer
        made._snapshot, made._initial = snapshot, initial_value
        return made

    @property
    def name(self) -> str:
        """The name of the variable's tensor, such as `Variable:0`."""
        return self._ref.name

    @property
    def op(self) -> Operation:
        """The operation that stands for the variable."""
        return self._ref.op

    @property
    def graph(self) -> Graph:
        """The graph that the variable belongs to."""
        return self._ref.graph

    @property
    def dtype(self) -> DType:
        """The (reference) element type."""
        return self._ref.dtype

    @property
    def device(self) -> str:
        """The operation's device string."""
        return self._ref.device

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape."""
        return self._ref.shape

    def get_shape(self) -> TensorShape:
        """What is known of the shape."""
        return self._ref.shape

    def set_shape(self, shape: object) -> None:
        """Adds knowledge about the shape."""
        self._ref.set_shape(shape)
        self._snapshot.set_shape(shape)

    @property
    def initializer(self) -> Operation:
        """The operation that sets the variable to its initial value."""
        return self._initializer

    @property
    def initial_value(self) -> Tensor:
        """The tensor that the initializer assigns."""
        return self._initial

    def start_with(self, initial_value: Tensor) -> None:
        """Makes a tensor the initial value, by a new initializer in the current name scope."""
        self._initial = initial_value
        self._initializer = assign(self._ref, initial_value, name="Assign").op

    def value(self) -> Tensor:
        """The tensor through which the variable is read."""
        return self._snapshot

    def read_value(self) -> Tensor:
        """The variable's value at this place, as a new tensor."""
        return make("Identity", (self._ref,), "read")

    def initialized_value(self) -> Tensor:
        """The variable's value if it is initialised, else its initial value.

        It lets one variable's initial value depend on another's within one run of initializers.
        """
        with self.graph.as_default(), self.graph.control_dependencies(None):
            return make("InitializedValue", (self._ref, self._initial), "initialized_value")

    def assign(
        self, value: object, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Tensor:  # fmt: skip
        """Sets the variable."""
        return assign(self._ref, value, name=name)

    def assign_add(
        self, delta: object, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Tensor:  # fmt: skip
        """Adds to the variable."""
        return assign_add(self._ref, delta, name=name)

    def assign_sub(
        self, delta: object, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> Tensor:  # fmt: skip
        """Subtracts from the variable."""
        return assign_sub(self._ref, delta, name=name)

    def eval(self, session: BaseSession | None = None) -> object:
        """The variable's value in `session` or the default session."""
        return self._ref.eval(session=session)

    def load(self, value: object, session: BaseSession | None = None) -> None:
        """Sets the variable in `session` or the default session, without a new operation."""
        feeds: Mapping[object, object] = {self._initializer.inputs[1]: value}
        self._initializer.run(feeds, session)

    def _as_tensor(self, as_ref: bool = False) -> Tensor:
        return self._ref if as_ref else self._snapshot

    def __getitem__(self, key: object) -> Tensor:
        return settable(index_tensor(self._snapshot, key))

    def count_up_to(self, limit: int) -> Tensor:
        """The value, which is then one more; OutOfRangeError once it has reached `limit`."""
        return count_up_to(self._ref, limit)

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={show(self._ref.sizes)} dtype={self.dtype.name}>"


def variables_initializer(var_list: Sequence[Variable], name: str = "init") -> Operation:
    """An operation that runs the variables' initializers."""
    if var_list:
        return group(*[variable.initializer for variable in var_list], name=name)
    return no_op(name)


def global_variables_initializer() -> Operation:
    """An operation that initialises all global variables."""
    return variables_initializer(global_variables())


def local_variables_initializer() -> Operation:
    """An operation that initialises all local variables."""
    return variables_initializer(local_variables())


def is_variable_initialized(variable: Variable) -> Tensor:
    """Whether the variable is initialised when a run starts."""
    return make("IsVariableInitialized", (variable,))
