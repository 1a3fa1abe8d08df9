"""ONNX graph to tensor IR: nodes in data-flow order, shape arithmetic folded on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

from tensorkiln.compiler.ir.function import Array, Function, Location, Value
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.frontends.onnx.batches import check_rows, opened_batches, with_open_batches
from tensorkiln.frontends.onnx.expansion import body_opsets, body_scope, instantiate, schema_body
from tensorkiln.frontends.onnx.extent_rules import lower_bounded
from tensorkiln.frontends.onnx.extents import cannot_read, has_extents
from tensorkiln.frontends.onnx.fold import fold, is_foldable
from tensorkiln.frontends.onnx.inputs import (
    Constant,
    InputType,
    fixed_inputs,
    input_types,
    parameters,
)
from tensorkiln.frontends.onnx.load import Loaded, Source, load_model
from tensorkiln.frontends.onnx.lowerings import TABLE
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import (
    Bounded,
    Entry,
    Items,
    Maybe,
    Operand,
    Results,
    as_sequence,
    inputs_of,
    leaves,
    rebuilt,
)
from tensorkiln.frontends.onnx.results import Imported, finish
from tensorkiln.frontends.onnx.schemas import check_node, schema_domain, schema_of
from tensorkiln.frontends.onnx.structure import (
    captures,
    describe,
    differentiated,
    node_label,
    ordered_nodes,
)
from tensorkiln.frontends.onnx.support import Functions, require_supported
from tensorkiln.frontends.onnx.tensors import MAXIMUM_BYTES, array_of
from tensorkiln.runtime.errors import ModelError, TypeRuleError, UnsupportedError

Scope = dict[str, "Entry | None"]

MAXIMUM_DEPTH = 64
MAXIMUM_NODES = 1 << 16  # of functions and loops that are written out


def import_model(
    source: Source,
    *,
    dims: Mapping[str, int] | None = None,
    constants: Mapping[str, Constant] | None = None,
    name: str | None = None,
) -> Function:
    """The ONNX model as a function of tensor IR.

    `source` is a path, the bytes of a file, a ModelProto, or what `Loaded` keeps of one; `dims` gives
    sizes to the model's open dims by name (a dim without a name is called `input.axis`), and to a
    declared batch of 1 as `input.0`, if rows of the results depend on their own rows only;
    `constants` gives fixed values
    to inputs, which shapes may then depend on.  Parameters are the graph's inputs that neither
    `constants` nor an initializer gives a value, in order; results carry the names of the graph's
    outputs.  An output `y` whose size along axis k only a run knows is padded to the largest size
    it can have, and an i64 scalar `y.size.k` after all outputs says how much is meant.  Raises ModelError for a malformed model, UnsupportedError for one that cannot be
    compiled (all unsupported operators at once), each naming the node, value or file.
    """
    return import_with_outputs(source, dims=dims, constants=constants, name=name).function


def import_with_outputs(
    source: Source,
    *,
    dims: Mapping[str, int] | None = None,
    constants: Mapping[str, Constant] | None = None,
    types: Mapping[str, InputType] | None = None,
    name: str | None = None,
) -> Imported:
    """The model as a function, and what its outputs are in the function's results.

    `types` says what inputs are in the place of what the model declares; the rest is as in
    `import_model`.
    """
    model, folder = load_model(source)
    arrays = source.arrays if isinstance(source, Loaded) else {}
    importer = _Importer(model, folder, name or "main", arrays)
    return importer.function(dims or {}, constants or {}, types or {})


@dataclass(frozen=True, slots=True)
class _Frame:
    """What nodes of one graph or function body share: opset versions, and how deep it is."""

    opsets: Mapping[str, int]
    depth: int = 0


class _Importer:
    def __init__(
        self, model: ModelProto, folder: Path | None, name: str, arrays: dict[str, Array]
    ) -> None:
        self.graph = model.graph
        self.arrays = arrays
        self.folder = folder
        self.builder = Builder(REGISTRY, name)
        self.functions: Functions = {(f.domain, f.name): f for f in model.functions}
        self.frame = _Frame(_opsets(model))
        self.count = 0

    def function(
        self,
        dims: Mapping[str, int],
        constants: Mapping[str, Constant],
        given: Mapping[str, InputType],
    ) -> Imported:
        scope = self.initializers(self.graph)
        scope.update(fixed_inputs(self.graph, constants))
        types = input_types(self.graph, set(scope), dims, given)
        outputs = [str(value.name) for value in self.graph.output]
        nodes = ordered_nodes(self.graph.node, [*scope, *types], outputs, "the graph")
        require_supported(nodes, self.frame.opsets, self.functions)
        opened = opened_batches(self.graph, dims) & types.keys()
        if opened:
            nodes = with_open_batches(nodes, scope, opened)
        scope.update(parameters(self.builder, self.graph, types))
        self.run(nodes, scope, self.frame)
        made = finish(self.builder, self.graph, [_defined(scope, name) for name in outputs])
        if opened:
            check_rows(made.function, opened)
        return made

    def initializers(self, graph: GraphProto) -> Scope:
        """The constants of a graph by name."""
        scope: Scope = {}
        for tensor in graph.initializer:
            if tensor.name in scope:
                raise ModelError(f"two initializers are named {tensor.name!r}")
            what = f"initializer {tensor.name!r}"
            array = self.arrays.get(tensor.name) if graph is self.graph else None
            if array is None:
                array = array_of(tensor, self.folder, what)
                if graph is self.graph:
                    self.arrays[tensor.name] = array
            scope[tensor.name] = Operand(tensor.name, array)
        if graph.sparse_initializer:
            name = graph.sparse_initializer[0].values.name
            raise UnsupportedError(f"initializer {name!r} is sparse, which cannot be compiled")
        return scope

    def run(self, nodes: Iterable[NodeProto], scope: Scope, frame: _Frame) -> None:
        """Imports nodes one after the other, adding their results to `scope`."""
        if frame.depth > MAXIMUM_DEPTH:
            raise ModelError(f"functions or subgraphs are nested deeper than {MAXIMUM_DEPTH}")
        for proto in nodes:
            self.count += frame.depth > 0
            if self.count > MAXIMUM_NODES:
                raise ModelError(
                    f"functions and loops of the model make more than {MAXIMUM_NODES} nodes when "
                    f"they are written out, up to {describe(proto)}"
                )
            names = [*proto.input, *differentiated(proto)]
            operands = [scope[name] if name else None for name in names]
            with self.builder.at(Location(node=node_label(proto))):
                results = self.node(proto, operands, scope, frame)
            for name, result in zip(proto.output, results, strict=False):
                if name:
                    _check_size(result, name, proto)
                    scope[name] = result

    def node(
        self, proto: NodeProto, operands: list[Entry | None], scope: Scope, frame: _Frame
    ) -> Sequence[Entry]:
        """The results of one node."""
        domain = schema_domain(proto.domain)
        local = self.functions.get((proto.domain, proto.op_type))
        if local is not None:
            return self.expand(local, proto, operands, frame)
        version = frame.opsets.get(domain, 0)
        schema = schema_of(proto, version)
        if schema is not None:
            check_node(proto, schema, operands)
        lower = TABLE.find(domain, proto.op_type, version)
        if lower is None:
            body = schema_body(proto, schema, version, operands) if schema is not None else None
            if body is None:
                raise UnsupportedError(f"{describe(proto)} cannot be compiled")
            return self.expand(body, proto, operands, frame)

        def inline(graph: GraphProto, inputs: Sequence[Entry]) -> list[Entry]:
            return self.inline(graph, scope, frame, inputs)

        def region(
            graph: GraphProto, builder: Builder, inputs: Sequence[Entry]
        ) -> tuple[list[Entry], list[Value]]:
            return self.region(graph, scope, frame, builder, inputs)

        node = Node(
            proto, version, schema, self.builder, tuple(operands), self.folder, inline, region
        )
        try:
            folded = fold(node, lower) if is_foldable(node) else None
            if folded is not None:
                results: Results = folded
            else:
                results = lower_bounded(node, lower) if has_extents(node) else lower(node)
            return _entries(results, proto, inputs_of(operands))
        except TypeRuleError as error:
            raise ModelError(f"{describe(proto)}: {error}") from None
        except (ArithmeticError, LookupError, ValueError) as error:
            reason = "its inputs and attributes do not fit the operator"
            raise ModelError(f"{describe(proto)}: {reason} ({error})") from error

    def expand(
        self, body: FunctionProto, call: NodeProto, operands: list[Entry | None], frame: _Frame
    ) -> list[Entry]:
        """The results of a call of a function, its body imported in place."""
        scope: Scope = dict(body_scope(body, call, operands))
        opsets = body_opsets(body, frame.opsets)
        where = f"function {body.name} of {describe(call)}"
        wanted = [name for name, used in zip(body.output, call.output, strict=False) if used]
        nodes = ordered_nodes(instantiate(body, call), scope, wanted, where)
        require_supported(nodes, opsets, self.functions)
        self.run(nodes, scope, _Frame(opsets, frame.depth + 1))
        return [
            _defined(scope, name) if used else _ABSENT
            for name, used in zip(body.output, call.output, strict=False)
        ]

    def inline(
        self, graph: GraphProto, scope: Scope, frame: _Frame, inputs: Sequence[Entry]
    ) -> list[Entry]:
        """The results of a subgraph, imported in place."""
        return self.subgraph(graph, {name: scope[name] for name in captures(graph)}, frame, inputs)

    def region(
        self,
        graph: GraphProto,
        scope: Scope,
        frame: _Frame,
        builder: Builder,
        inputs: Sequence[Entry],
    ) -> tuple[list[Entry], list[Value]]:
        """The results of a subgraph imported into `builder`, and the values it captures."""
        inner: Scope = {}
        captured: dict[Value, Value] = {}
        for name in captures(graph):
            entry = scope[name]
            parts = [self.captured(leaf, name, builder, captured) for leaf in leaves(entry)]
            inner[name] = entry and rebuilt(entry, iter(parts))
        around, self.builder = self.builder, builder
        try:
            found = self.subgraph(graph, inner, frame, inputs)
        finally:
            self.builder = around
        for leaf in (leaf for entry in found for leaf in leaves(entry)):
            if leaf.extent is not None:
                raise cannot_read(f"what follows subgraph {graph.name!r}", leaf)
        return found, list(captured)

    def captured(
        self, operand: Operand, name: str, builder: Builder, captured: dict[Value, Value]
    ) -> Operand:
        """A tensor from around a subgraph, known or as a parameter of `builder`.

        `captured` has the parameters for the values around it.
        """
        if operand.known is not None:
            return operand.detached()
        if operand.extent is not None:
            raise cannot_read(f"subgraph {builder.name!r}", operand)
        value = operand.value(self.builder)
        if value not in captured:
            captured[value] = builder.parameter(name, value.type)
        return Operand(name, value=captured[value], inputs=operand.inputs)

    def subgraph(
        self, graph: GraphProto, inner: Scope, frame: _Frame, inputs: Sequence[Entry]
    ) -> list[Entry]:
        """Imports the nodes of a subgraph; `inner` is what it captures."""
        where = f"subgraph {graph.name!r}"
        names = [str(value.name) for value in graph.input]
        if len(names) != len(inputs):
            raise ModelError(f"{where} has {len(names)} inputs, and is given {len(inputs)}")
        inner.update(zip(names, map(_as_declared, graph.input, inputs), strict=True))
        inner.update(self.initializers(graph))
        outputs = [str(value.name) for value in graph.output]
        nodes = ordered_nodes(graph.node, inner, outputs, where)
        require_supported(nodes, frame.opsets, self.functions)
        self.run(nodes, inner, _Frame(frame.opsets, frame.depth + 1))
        return [_defined(inner, name) for name in outputs]


_ABSENT = Operand("", np.zeros((), np.bool_))


def _opsets(model: ModelProto) -> dict[str, int]:
    """Opset versions by domain."""
    return {schema_domain(opset.domain): opset.version for opset in model.opset_import}


def _defined(scope: Scope, name: str) -> Entry:
    found = scope.get(name)
    if found is None:
        raise ModelError(f"{name!r} is returned, and it was given no value")
    return found


def _entries(results: Results, proto: NodeProto, inputs: frozenset[str]) -> list[Entry]:
    """What a lowering gave, named as the node names it."""
    found: list[Entry] = []
    for position, result in enumerate(as_sequence(results)):
        name = proto.output[position] if position < len(proto.output) else ""
        if isinstance(result, Operand | Items | Maybe):
            found.append(result)
        elif isinstance(result, Bounded):
            found.append(Operand(name, value=result.value, inputs=inputs, extent=result.extent))
        elif isinstance(result, Value):
            found.append(Operand(name, value=result, inputs=inputs))
        else:
            found.append(Operand(name, np.asarray(result)))
    for position, name in enumerate(proto.output):
        if name and position >= len(found):
            raise UnsupportedError(
                f"{describe(proto)}: its output number {position} ({name!r}) cannot be compiled"
            )
    return found


def _as_declared(value: ValueInfoProto, entry: Entry) -> Entry:
    """What a subgraph's input is, which may be declared an optional of what is given."""
    optional = value.type.WhichOneof("value") == "optional_type"
    return (
        Maybe(entry.name, entry, entry.kind) if optional and not isinstance(entry, Maybe) else entry
    )


def _check_size(result: Entry, name: str, proto: NodeProto) -> None:
    for leaf in leaves(result):
        if leaf.type.bytes > MAXIMUM_BYTES:
            raise ModelError(
                f"{describe(proto)} makes {name!r} of type {leaf.type}, more than {MAXIMUM_BYTES} "
                "bytes"
            )
