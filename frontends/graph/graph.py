"""Graph: operations, names, collections."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from tensorkiln.frontends.graph import stack
from tensorkiln.frontends.graph.control import ControlDependencies
from tensorkiln.frontends.graph.convert import Convertible
from tensorkiln.frontends.graph.devices import chosen, merge
from tensorkiln.frontends.graph.files import export_graph
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.kinds import GRADIENT_OVERRIDE, OpKind
from tensorkiln.frontends.graph.location import user_location
from tensorkiln.frontends.graph.naming import Names
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.tensor import Tensor


class Graph:
    """A namespace of operations; `seed` is the graph-level random seed or None.

    `scoped` holds what other modules keep per graph (the current variable scope, and so on).
    """

    def __init__(self) -> None:
        self.seed: int | None = None
        self.scoped: dict[str, object] = {}
        self._operations: dict[str, Operation] = {}
        self._collections: dict[str, list[object]] = {}
        self._names = Names()
        self._control = ControlDependencies()
        self._device = ""
        self._device_function: Callable[[Operation], object] | None = None
        self._overrides: dict[str, str] = {}
        self._marks: tuple[Callable[[Operation], Mapping[str, object]], ...] = ()
        self._finalized = False
        self._unfeedable: set[Tensor] = set()
        self._unfetchable: set[Operation] = set()

    # -- operations ------------------------------------------------------------------------

    def create_op(
        self,
        kind: OpKind,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, object],
        name: str | None = None,
    ) -> Operation:
        """A new operation; a name that ends in a slash is taken exactly, else made unique."""
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")
        full_name = self._names.of_op(name or kind.name)
        if full_name in self._operations:
            raise ValueError(f"an operation named '{full_name}' exists already")
        if kind.name in self._overrides:
            attributes = {**attributes, GRADIENT_OVERRIDE: self._overrides[kind.name]}
        operation = Operation(
            self, kind, full_name, inputs, attributes, self._control.of_new_op(inputs),
            self._device, user_location(full_name), len(self._operations) + 1,
        )  # fmt: skip
        operation.device = chosen(self._device, self._device_function, operation)
        for marks in self._marks:
            operation.attributes.update(marks(operation))
        self._operations[full_name] = operation
        self._control.record(operation)
        return operation

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Takes the operations made inside out again, with their names, if the block fails."""
        count, uses = len(self._operations), self._names.uses
        collections = {name: list(items) for name, items in self._collections.items()}
        try:
            yield
        except BaseException:
            for name in list(self._operations)[count:]:
                self._control.forget(self._operations.pop(name))
            self._names.uses, self._collections = uses, collections
            raise

    @property
    def last_id(self) -> int:
        """The number of operations made so far; random ops without a seed take it as theirs."""
        return len(self._operations)

    @property
    def version(self) -> int:
        """A number that grows with every operation."""
        return len(self._operations)

    def get_operations(self) -> list[Operation]:
        """All operations, in the order they were made."""
        return list(self._operations.values())

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation; KeyError if there is none of that name."""
        if not isinstance(name, str | bytes):
            raise TypeError(f"Operation names are strings (or similar), not {type(name).__name__}.")
        found = self.as_graph_element(name, allow_tensor=False)
        assert isinstance(found, Operation)
        return found

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor `<operation>:<index>`; KeyError if there is none of that name."""
        if not isinstance(name, str | bytes):
            raise TypeError(f"Tensor names are strings (or similar), not {type(name).__name__}.")
        found = self.as_graph_element(name, allow_operation=False)
        assert isinstance(found, Tensor)
        return found

    def as_graph_element(
        self, obj: object, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Tensor | Operation:
        """The tensor or operation that `obj` (one of them, a variable, a name) stands for.

        Raises TypeError for other kinds of objects, ValueError for elements of other graphs and
        KeyError for unknown names.
        """
        wanted = " or ".join(
            word for word, on in (("Tensor", allow_tensor), ("Operation", allow_operation)) if on
        )
        if not wanted:
            raise ValueError("allow_tensor and allow_operation can't both be False.")
        if isinstance(obj, Convertible) and allow_tensor:
            obj = obj._as_tensor(as_ref=True)
        if isinstance(obj, Tensor) and allow_tensor:
            if obj.graph is not self:
                raise ValueError(f"Tensor {obj} is not an element of this graph.")
            return obj
        if isinstance(obj, Operation) and allow_operation:
            if obj.graph is not self:
                raise ValueError(f"Operation {obj} is not an element of this graph.")
            return obj
        if isinstance(obj, bytes):
            obj = obj.decode()
        if isinstance(obj, str):
            return self._named(obj, allow_tensor, allow_operation)
        raise TypeError(f"Can not convert a {type(obj).__name__} into a {wanted}.")

    def _named(self, name: str, allow_tensor: bool, allow_operation: bool) -> Tensor | Operation:
        if ":" not in name and not allow_operation:
            known = name in self._operations
            what = "refers to an Operation" if known else "looks like an (invalid) Operation name"
            raise ValueError(
                f"The name {name!r} {what}, not a Tensor. Tensor names must be of the form "
                '"<op_name>:<output_index>".'
            )
        if ":" not in name:
            if name not in self._operations:
                raise KeyError(f"The name {name!r} refers to an Operation not in the graph.")
            return self._operations[name]
        owner, _, index = name.partition(":")
        if not index.isdigit():
            raise ValueError(
                f"The name {name!r} looks a like a Tensor name, but is not a valid one. Tensor "
                'names must be of the form "<op_name>:<output_index>".'
            )
        operation = self._operations.get(owner)
        if operation is None:
            raise KeyError(
                f"The name {name!r} refers to a Tensor which does not exist. The operation, "
                f"{owner!r}, does not exist in the graph."
            )
        if int(index) >= len(operation.outputs):
            raise KeyError(
                f"The name {name!r} refers to a Tensor which does not exist. The operation, "
                f"{owner!r}, exists but only has {len(operation.outputs)} outputs."
            )
        if not allow_tensor:
            raise ValueError(f"Name {name!r} appears to refer to a Tensor, not a Operation.")
        return operation.outputs[int(index)]

    def finalize(self) -> None:
        """Forbids new operations."""
        self._finalized = True

    def unfinalize(self) -> None:
        """Allows new operations again, as where the session that finalized the graph is closed."""
        self._finalized = False

    @property
    def finalized(self) -> bool:
        """True if no operations can be added."""
        return self._finalized

    @property
    def building_function(self) -> bool:
        """False: graphs of functions are not made here."""
        return False

    @property
    def graph_def_versions(self) -> Proto:
        """The versions of the graph's definition, a VersionDef message."""
        return export_graph.graph_def(()).versions

    def prevent_fetching(self, operation: Operation) -> None:
        """Marks an operation that runs may not fetch."""
        self._unfetchable.add(operation)

    def is_fetchable(self, tensor_or_operation: Tensor | Operation) -> bool:
        """True if runs may fetch the tensor or operation."""
        found = tensor_or_operation
        return (found.op if isinstance(found, Tensor) else found) not in self._unfetchable

    def prevent_feeding(self, tensor: Tensor) -> None:
        """Marks a tensor that runs may not feed."""
        self._unfeedable.add(tensor)

    def is_feedable(self, tensor: object) -> bool:
        """True if runs may feed the tensor."""
        return tensor not in self._unfeedable

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Proto:
        """The graph as a GraphDef message; `from_version`: only operations made since then."""
        operations = self.get_operations()[from_version or 0 :]
        return export_graph.graph_def(operations, add_shapes)

    def __repr__(self) -> str:
        # The text that programs and their documentation show.
        return f"<tensorflow.python.framework.ops.Graph object at {id(self):#x}>"

    # -- scopes ----------------------------------------------------------------------------

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Makes this the default graph inside the block."""
        stack.graphs().append(self)
        try:
            yield self
        finally:
            stack.graphs().pop()

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """`name` in the current scope, made unique."""
        return self._names.unique(name, mark_as_used)

    def name_scope(self, name: str | None) -> AbstractContextManager[str]:
        """Names made inside start with the scope's."""
        return self._names.enter(name)

    def get_name_scope(self) -> str:
        """The current scope, without a slash at the end."""
        return self._names.scope

    def control_dependencies(
        self, control_inputs: Sequence[object] | None
    ) -> AbstractContextManager[None]:
        """Ops made inside run after those given; None clears the dependencies meanwhile."""
        if control_inputs is None:
            return self._control.block(None)
        before: list[Operation] = []
        for item in control_inputs:
            element = self.as_graph_element(item)
            before.append(element.op if isinstance(element, Tensor) else element)
        return self._control.block(before)

    @contextmanager
    def device(self, device_name_or_function: object) -> Iterator[None]:
        """Ops made inside carry the device's name, merged with the outer scope's.

        It is a name, a function of the operation that gives one, or None, which clears the scope.
        """
        before = self._device, self._device_function
        if device_name_or_function is None:
            self._device, self._device_function = "", None
        elif callable(device_name_or_function):
            self._device_function = device_name_or_function
        else:
            to_string = getattr(device_name_or_function, "to_string", None)
            text = to_string() if to_string is not None else str(device_name_or_function)
            self._device = merge(text, self._device)
        try:
            yield
        finally:
            self._device, self._device_function = before

    @contextmanager
    def gradient_override_map(self, op_type_map: Mapping[str, str]) -> Iterator[None]:
        """Ops made inside of the types named take the gradients registered by those names."""
        if not isinstance(op_type_map, Mapping):
            raise TypeError("`op_type_map` must be a dictionary mapping strings to strings")
        before = self._overrides
        self._overrides = {**before, **op_type_map}
        try:
            yield
        finally:
            self._overrides = before

    @contextmanager
    def marking(self, marks: Callable[[Operation], Mapping[str, object]]) -> Iterator[None]:
        """Ops made inside also get the attributes that `marks` gives for them."""
        before = self._marks
        self._marks = (*before, marks)
        try:
            yield
        finally:
            self._marks = before

    # -- collections -----------------------------------------------------------------------

    def add_to_collection(self, name: str, value: object) -> None:
        """Adds `value` to the end of a collection; RuntimeError for a finalized graph."""
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")
        self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Sequence[str] | str, value: object) -> None:
        """Adds `value` to each of the collections."""
        for name in (names,) if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection_ref(self, name: str) -> list[object]:
        """The collection's list itself."""
        return self._collections.setdefault(name, [])

    def get_collection(self, name: str, scope: str | None = None) -> list[object]:
        """A copy of the collection; with `scope`, only items whose name matches that pattern."""
        items = list(self._collections.get(name, ()))
        if scope is None:
            return items
        pattern = re.compile(scope)
        return [item for item in items if pattern.match(str(getattr(item, "name", "")))]

    @property
    def collections(self) -> list[str]:
        """The names of the collections that were made."""
        return list(self._collections)

    def get_all_collection_keys(self) -> list[str]:
        """The names of the collections that hold something."""
        return [name for name, items in self._collections.items() if items]

    def clear_collection(self, name: str) -> None:
        """Empties a collection."""
        self._collections.pop(name, None)


def reset_default_graph() -> None:
    """Replaces the process's default graph by an empty one."""
    if stack.graphs():
        raise AssertionError(
            "Do not use tf.reset_default_graph() to clear nested graphs. If you need a cleared "
            "graph, exit the nesting and create a new graph."
        )
    stack.set_global_graph(Graph())


stack.set_global_graph(Graph())
