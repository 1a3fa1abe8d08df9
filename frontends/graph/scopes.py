"""Functions on the default graph: scopes, control dependencies, groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from tensorkiln.frontends.graph.apply import graph_of
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import identity, no_op
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor

_GROUPS = "groups of the scope that ops are made in"


@contextmanager
def name_scope(
    name: str | None, default_name: str | None = None, values: object = None
) -> Iterator[str]:
    """Names of ops made inside start with the scope's; yields the scope with a slash at its end.

    The ops go to the graph of `values`, if there are tensors among them.
    """
    chosen = default_name if name is None else name
    if name is None and default_name is None and values is not None:
        raise ValueError("At least one of name (None) and default_name (None) must be provided.")
    graph = graph_of(values)
    with graph.as_default(), graph.name_scope(chosen) as scope:
        yield scope


def control_dependencies(
    control_inputs: Sequence[object] | None,
) -> AbstractContextManager[None]:
    """Ops made inside run after those given."""
    return get_default_graph().control_dependencies(control_inputs)


def device(device_name_or_function: object) -> AbstractContextManager[None]:
    """Ops made inside carry the device's name."""
    return get_default_graph().device(device_name_or_function)


@contextmanager
def colocate_with(op: object, ignore_existing: bool = False) -> Iterator[None]:
    """Ops made inside are in the groups of `op` (a tensor, an operation, a variable) and have its
    device; None changes nothing.  `ignore_existing` leaves the groups of outer scopes out."""
    if op is None:
        yield
        return
    graph = get_default_graph()
    element = graph.as_graph_element(op)
    leader = element.op if isinstance(element, Tensor) else element
    groups = {group.decode() for group in leader.colocation_groups()}
    outer = graph.scoped.get(_GROUPS, frozenset())
    assert isinstance(outer, frozenset)
    groups |= frozenset() if ignore_existing else outer

    def marks(made: Operation) -> dict[str, object]:
        own = made.attributes.get("_class", ()) if not ignore_existing else ()
        assert isinstance(own, tuple)
        return {"_class": tuple(sorted(groups.union(own)))}

    graph.scoped[_GROUPS] = frozenset(groups)
    try:
        with graph.device(leader.device), graph.marking(marks):
            yield
    finally:
        graph.scoped[_GROUPS] = outer


def group(*inputs: object, **options: object) -> Operation:
    """An operation that has run when all of `inputs` have."""
    name = options.get("name")
    flat: list[object] = []
    for item in inputs:
        flat += item if isinstance(item, list | tuple) else [item]
    operations = [item for item in flat if item is not None]
    graph = graph_of([item for item in operations if isinstance(item, Convertible)])
    for item in operations:
        if isinstance(item, Operation):
            graph = item.graph
        elif not isinstance(item, Convertible):
            raise TypeError(
                f"Expected tf.group() expected Tensor objects not '{item}' with type '{type(item)}'"
            )
    with graph.as_default(), graph.control_dependencies(operations):
        return no_op(name=str(name) if name else "group_deps")


def tuple_(
    tensors: Sequence[object], name: str | None = None, control_inputs: Sequence[object] = ()
) -> list[Tensor | None]:
    """The tensors, each available only when all of them (and `control_inputs`) are."""
    known = [convert_to_tensor(t) for t in tensors if t is not None]
    with name_scope(name, "tuple", known):
        gate = group(*known, *control_inputs)
        with control_dependencies([gate]):
            return [None if t is None else identity(t, name="control_dependency") for t in tensors]
