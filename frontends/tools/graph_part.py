"""The part of a graph between feeds, fetches and variables, as one function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files.attributes import attribute_value
from tensorkiln.frontends.graph.files.import_graph import import_graph_def
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.node_order import parse_input
from tensorkiln.frontends.graph.files.proto_graph import GraphDef
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.lowering import Lowering, variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import placeholder
from tensorkiln.frontends.graph.schedule import batches, needed
from tensorkiln.frontends.graph.shapes import compatible, show
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.tools.config import Feed, Interface, Variable
from tensorkiln.runtime.errors import ModelError, UnsupportedError

_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")


@dataclass(frozen=True)
class Part:
    """A function whose parameters are the feeds (`arg0`, ...) and the variables (`var0`, ...).

    Its results are the fetches (`result0`, ...), then the new values of the variables numbered
    in `written`, each of which may be stored where the old value is.
    """

    function: Function
    written: tuple[int, ...]


def graph_part(definition: Proto, interface: Interface, name: str) -> Part:
    """The function `name` of what the fetches need; other nodes are not read.

    A variable is changed by the assignments that the fetches wait for.  ModelError for nodes
    that are not there or are broken, and for variables that are not listed; UnsupportedError for
    op types that cannot be read and for other state.
    """
    feeds, fetches, variables = interface.feeds, interface.fetches, interface.variables
    nodes = {str(node.name): node for node in definition.node}
    listed = [item.node for item in feeds] + [item.node for item in fetches]
    for node in (*listed, *(item.node for item in variables)):
        if node not in nodes:
            raise ModelError(f"the config names the node {node!r}, which the graph lacks")
    for variable in variables:
        if nodes[variable.node].op not in _VARIABLES:
            raise ModelError(
                f"the node {variable.node!r} is a {nodes[variable.node].op}, no variable"
            )
    part, read = _needed(definition, nodes, interface)
    graph = Graph()
    with graph.as_default():
        args = {
            feed.tensor: placeholder(_dtype(feed, nodes[feed.node]), feed.shape, f"arg{k}")
            for k, feed in enumerate(feeds)
        }
        computed = [fetch.tensor for fetch in fetches if fetch.tensor not in args]
        mapped = {key: tensor for key, tensor in args.items() if key in read}
        wanted = [*computed, *(f"{variable.node}:0" for variable in variables)]
        found = import_graph_def(part, mapped, wanted, name="graph") or []
    tensors = [tensor for tensor in found if isinstance(tensor, Tensor)]
    assert len(tensors) == len(wanted), "an element by a tensor's name is a tensor"
    values = args | dict(zip(computed, tensors, strict=False))
    ops = [_operation(tensor) for tensor in tensors[len(computed) :]]
    outputs = [values[fetch.tensor] for fetch in fetches]
    return _lowered(list(args.values()), outputs, list(zip(variables, ops, strict=True)), name)


def _operation(tensor: Tensor) -> Operation:
    found = variable_of(tensor)
    assert found is not None, "the node of a variable makes a variable"
    return found


def _lowered(
    args: Sequence[Tensor],
    outputs: Sequence[Tensor],
    variables: Sequence[tuple[Variable, Operation]],
    name: str,
) -> Part:
    kinds = {arg: TensorType(_known_sizes(arg), arg.dtype.ir) for arg in args}
    labels = {arg: f"arg{k}" for k, arg in enumerate(args)}
    lowering = Lowering(kinds, _not_listed, name=name, names=labels)
    for number, (variable, op) in enumerate(variables):
        kind = _variable_type(variable, op)
        lowering.variables[op] = lowering.builder.parameter(f"var{number}", kind)
    ops = [tensor.op for tensor in outputs if tensor not in kinds]
    lowering.lower(batches(needed(ops, set(args)), set(args)))
    for op in (*lowering.counters, *lowering.flags):
        raise UnsupportedError(
            f"'{op.name}' ({op.location}) needs state other than the value of a variable, which "
            "the class does not keep; feed its tensor or leave it out"
        )
    results = [lowering.value(tensor) for tensor in outputs]
    names = [f"result{k}" for k in range(len(results))]
    aliases: dict[int, int] = {}
    for number, (variable, op) in enumerate(variables):
        if op not in lowering.written:
            continue
        old, new = lowering.variables[op], lowering.written[op]
        if variable.readonly:
            raise ModelError(f"the graph assigns to {variable.node!r}, which is listed as readonly")
        if old.type != new.type:
            raise ModelError(
                f"the graph assigns a {new.type} to {variable.node!r}, which is a {old.type}"
            )
        aliases[len(results)] = len(args) + number
        results.append(lowering.identity(new))
        names.append(f"var{number}_new")
    written = tuple(position - len(args) for position in aliases.values())
    return Part(lowering.builder.finish(results, names, aliases), written)


def _known_sizes(tensor: Tensor) -> tuple[int, ...]:
    assert tensor.sizes is not None
    return tuple(size for size in tensor.sizes if size is not None)


def _variable_type(variable: Variable, op: Operation) -> TensorType:
    """The type of the node, which that of the config must fit."""
    tensor = op.outputs[0]
    dtype, sizes = tensor.dtype.base_dtype, tensor.sizes
    if variable.dtype not in (None, dtype):
        raise ModelError(f"the variable {variable.node!r} is {dtype.name}, not as the config says")
    if not compatible(variable.shape, sizes):
        raise ModelError(
            f"the variable {variable.node!r} has shape {show(sizes)}, which {show(variable.shape)} "
            "of the config does not fit"
        )
    known = sizes if variable.shape is None else variable.shape
    if known is None or None in known:
        raise ModelError(f"the variable {variable.node!r} needs a shape in the config")
    return TensorType(tuple(size for size in known if size is not None), dtype.ir)


def _not_listed(variable: Operation) -> tuple[int, ...]:
    node = variable.name.removeprefix("graph/")
    raise ModelError(
        f"the fetches need the variable {node!r}: freeze the graph, or add "
        f"variable {{ node_name: {node!r} }} to the config"
    )


def _needed(
    definition: Proto, nodes: dict[str, Proto], interface: Interface
) -> tuple[Proto, set[str]]:
    """The nodes between feeds and fetches with all variables, and the names of the tensors that are read.

    A node of which only fed outputs are read stays, without its inputs, as a placeholder.
    """
    feeds = interface.feeds
    fed = {feed.tensor for feed in feeds}
    read: set[str] = set()
    whole: set[str] = set()
    waiting = [(f.node, f.output) for f in interface.fetches if f.tensor not in fed]
    waiting += [(variable.node, -1) for variable in interface.variables]
    while waiting:
        name, index = waiting.pop()
        if name not in nodes:
            raise ModelError(f"a node reads {name!r}, which is not in the graph")
        if index >= 0:
            read.add(f"{name}:{index}")
        if name in whole or f"{name}:{index}" in fed:
            continue
        whole.add(name)
        for text in nodes[name].input:
            source, number = parse_input(text)
            waiting.append((source, -1 if number is None else number))
    kept = whole | {key.rpartition(":")[0] for key in read}
    part = GraphDef(versions=definition.versions)
    for node in definition.node:
        if node.name in whole:
            part.node.append(node)
        elif node.name in kept:
            added = part.node.add(name=node.name, op="Placeholder")
            added.attr["dtype"].type = data_types.number_of(_dtype_of_feed(node, feeds))
    return part, read


def _dtype_of_feed(node: Proto, feeds: Sequence[Feed]) -> DType:
    return next(_dtype(feed, node) for feed in feeds if feed.node == node.name)


def _dtype(feed: Feed, node: Proto) -> DType:
    """The type that the config gives, or that of the node."""
    if feed.dtype is not None:
        return feed.dtype
    for name in ("dtype", "DstT", "T"):
        value = attribute_value(node.attr[name]) if name in node.attr else None
        if isinstance(value, DType):
            return value.base_dtype
    raise ModelError(f"the type of the feed {feed.tensor!r} is not known; give it as `type`")
