"""tf.import_graph_def: the operations of a graph definition, added to a graph."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.files.gradient_frames import without_gradient_frames
from tensorkiln.frontends.graph.files.graph_errors import BrokenGraphError, UnknownOpError
from tensorkiln.frontends.graph.files.import_nodes import Node, check_inputs
from tensorkiln.frontends.graph.files.import_table import builder_of
from tensorkiln.frontends.graph.files.inline_functions import without_functions
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.node_order import in_order, order_of, parse_input
from tensorkiln.frontends.graph.files.proto_graph import GraphDef
from tensorkiln.frontends.graph.files.while_frames import without_frames
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import ModelError, UnsupportedError

_LOGGER = logging.getLogger("tensorflow")
_SHOWN = 3


def import_graph_def(
    graph_def: Proto,
    input_map: Mapping[str, object] | None = None,
    return_elements: Sequence[str] | None = None,
    name: str | None = None,
    op_dict: object = None,
    producer_op_list: object = None,
    validate_colocation_constraints: bool = True,
) -> list[Tensor | Operation] | None:
    """Adds the operations of `graph_def` to the default graph, below the scope `name` (`import`
    unless given; "" for none).

    `input_map` replaces tensors of the definition by tensors of the graph; the result are the
    operations and tensors (`name:0`) named in `return_elements`.  UnsupportedError lists all op
    types that cannot be read, with their nodes; ModelError names a broken node.
    """
    return add_graph_def(as_graph_def(graph_def), input_map, return_elements, name, strict=True)


def add_graph_def(
    definition: Proto,
    input_map: Mapping[str, object] | None,
    return_elements: Sequence[str] | None,
    name: str | None,
    strict: bool,
) -> list[Tensor | Operation] | None:
    """`import_graph_def`; unless `strict`, nodes that cannot be read are left out with all that
    depends on them, and a warning lists them."""
    definition = without_frames(without_gradient_frames(without_functions(definition)))
    definition = definition if strict else readable_part(definition)
    replaced = _checked_map(input_map)
    if return_elements is not None and (
        isinstance(return_elements, str) or not all(isinstance(e, str) for e in return_elements)
    ):
        raise TypeError("return_elements must be a list of strings.")
    ordered = in_order(definition)
    _check_supported(ordered)
    graph = get_default_graph()
    with graph.name_scope("import" if name is None else name) as scope, graph.all_or_none():
        tensors = {key: convert_to_tensor(value) for key, value in replaced.items()}
        importer = Importer(graph, scope, tensors)
        for node in ordered:
            importer.add(node, strict)
        importer.check_used()
        found = None if return_elements is None else [importer.element(e) for e in return_elements]
    if importer.failed:
        _LOGGER.warning(
            "%d of %d nodes are left out: what cannot be read, and what depends on it; first: %s",
            len(importer.failed), len(ordered), next(iter(importer.failed.values())),
        )  # fmt: skip
    return found


def as_graph_def(message: object) -> Proto:
    """A GraphDef message of any making, as ours; TypeError for other things."""
    described = getattr(message, "DESCRIPTOR", None)
    if getattr(described, "full_name", "") != "tensorflow.GraphDef":
        raise TypeError("graph_def must be a GraphDef proto.")
    if isinstance(message, GraphDef):
        return message
    data = message.SerializeToString()  # type: ignore[attr-defined]
    return GraphDef.FromString(data)


def _checked_map(input_map: Mapping[str, object] | None) -> dict[str, object]:
    if input_map is None:
        return {}
    if not isinstance(input_map, Mapping) or not all(isinstance(key, str) for key in input_map):
        raise TypeError("input_map must be a dictionary mapping strings to Tensor objects.")
    return {
        key if ":" in key or key.startswith("^") else f"{key}:0": value
        for key, value in input_map.items()
    }


def _check_supported(nodes: Sequence[Proto]) -> None:
    """UnsupportedError that lists all op types without a builder."""
    missing: dict[str, list[str]] = {}
    for node in nodes:
        if builder_of(node) is None:
            missing.setdefault(str(node.op), []).append(str(node.name))
    if missing:
        raise UnknownOpError(
            f"the graph has {len(missing)} op types that cannot be read: {listed(missing)}"
        )


def listed(missing: Mapping[str, Sequence[str]]) -> str:
    """Op types with some of their nodes' names."""
    lines = []
    for kind, names in sorted(missing.items()):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(f"{kind} ({', '.join(repr(name) for name in names[:_SHOWN])}{more})")
    return "; ".join(lines)


def readable_part(definition: Proto) -> Proto:
    """The definition without the nodes that cannot be read or lie on a loop, and without all that
    depends on them; a warning lists them."""
    kept = order_of(definition, lambda node: builder_of(node) is not None)
    if len(kept) == len(definition.node):
        return definition
    names = {node.name for node in kept}
    dropped = [node for node in definition.node if node.name not in names]
    missing: dict[str, list[str]] = {}
    for node in dropped:
        if builder_of(node) is None:
            missing.setdefault(str(node.op), []).append(str(node.name))
    _LOGGER.warning(
        "%d of %d nodes are left out: those of op types that cannot be read (%s), on loops, and "
        "what depends on them", len(dropped), len(definition.node), listed(missing) or "none",
    )  # fmt: skip
    result = GraphDef()
    result.node.extend(node for node in definition.node if node.name in names)
    result.versions.CopyFrom(definition.versions)
    return result


class Importer:
    """Adds nodes to a graph one by one; inputs come before those who read them."""

    def __init__(self, graph: Graph, scope: str, replaced: Mapping[str, Tensor]) -> None:
        self.used: set[str] = set()
        self.failed: dict[str, str] = {}
        self._graph = graph
        self._scope = scope
        self._replaced = replaced
        self._outputs: dict[str, Sequence[Tensor]] = {}
        self._operations: dict[str, Operation] = {}

    def add(self, definition: Proto, strict: bool) -> None:
        """Adds one node; ModelError names it if it is broken, unless `strict` is false: then it
        goes to `failed`, and so do those that depend on it."""
        name = str(definition.name)
        cause = next((c for c in self._sources(definition) if c in self.failed), None)
        if cause is not None:
            self.failed[name] = self.failed[cause]
            return
        try:
            self._add(definition, name)
        except (ModelError, UnsupportedError) as error:
            if strict:
                raise
            self.failed[name] = str(error)

    def _sources(self, definition: Proto) -> Iterator[str]:
        """The nodes that a node depends on, those aside that are replaced."""
        for text in definition.input:
            source, index = parse_input(text)
            key = f"^{source}" if index is None else f"{source}:{index}"
            if key not in self._replaced:
                yield source

    def _add(self, definition: Proto, name: str) -> None:
        inputs: list[Tensor] = []
        before: list[Operation] = []
        for text in definition.input:
            source, index = parse_input(text)
            if index is None:
                before.append(self._control(source))
            else:
                inputs.append(self._tensor(source, index))
        node = Node(self._graph, definition, f"{self._scope}{name}", inputs)
        build = builder_of(definition)
        assert build is not None
        try:
            with ExitStack() as stack:
                stack.enter_context(self._graph.control_dependencies(None))
                stack.enter_context(self._graph.control_dependencies(before))
                stack.enter_context(self._graph.device(str(definition.device) or None))
                check_inputs(node)
                self._outputs[name] = build(node)
        except UnsupportedError:
            raise
        except _BROKEN as error:
            raise BrokenGraphError(
                f"node {name!r} ({node.type}) cannot be read: {error}"
            ) from error
        self._operations[name] = self._graph.get_operation_by_name(node.name)

    def _tensor(self, source: str, index: int) -> Tensor:
        key = f"{source}:{index}"
        if key in self._replaced:
            self.used.add(key)
            return self._replaced[key]
        outputs = self._outputs[source]
        if index >= len(outputs):
            raise BrokenGraphError(
                f"a node reads {key!r}, but {source!r} has {len(outputs)} outputs"
            )
        return outputs[index]

    def _control(self, source: str) -> Operation:
        key = f"^{source}"
        if key in self._replaced:
            self.used.add(key)
            return self._replaced[key].op
        return self._operations[source]

    def check_used(self) -> None:
        """ValueError if nothing of the definition reads a tensor that was to be replaced."""
        unused = [key for key in self._replaced if key not in self.used]
        if unused:
            raise ValueError(
                f"Attempted to map inputs that were not found in graph_def: [{', '.join(unused)}]"
            )

    def element(self, text: str) -> Tensor | Operation:
        """What `name` or `name:0` of the definition has become; ValueError if it is not there."""
        source, index = parse_input(text) if ":" in text else (text, None)
        if source not in self._operations:
            what = "node" if index is None else "tensor"
            raise ValueError(f"Requested return {what} {text!r} not found in graph def")
        if index is None:
            return self._operations[source]
        if f"{source}:{index}" in self._replaced:
            return self._replaced[f"{source}:{index}"]
        count = len(self._outputs[source])
        if index >= count:
            raise ValueError(
                f"Invalid return output {index} of node {source!r}, which has {count} output(s)"
            )
        return self._outputs[source][index]


# What a builder or an op's shape function raises for a node that makes no sense.
_BROKEN = (ValueError, TypeError, KeyError, IndexError, AssertionError, NotImplementedError,
           ArithmeticError, MemoryError)  # fmt: skip
