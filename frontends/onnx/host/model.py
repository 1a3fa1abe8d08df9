"""A model with texts or files of images: compiled parts, and between them what the host does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper
from onnx.backend.base import BackendRep

from tensorkiln.compiler.ir.dtypes import I64, dtype_of
from tensorkiln.compiler.ir.function import Array
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.frontends.onnx.elements import ELEMENT_OF_DTYPE, dtype_of_element
from tensorkiln.frontends.onnx.host.coding import Coded, coded, first_result, is_hosted
from tensorkiln.frontends.onnx.host.images import decoded
from tensorkiln.frontends.onnx.host.segments import Segment, segments
from tensorkiln.frontends.onnx.host.text_ops import (
    check_text,
    concatenated,
    matched,
    normalized,
    read,
    split,
    written,
)
from tensorkiln.frontends.onnx.host.texts import Texts
from tensorkiln.frontends.onnx.load import load_model
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.schemas import schema_domain, schema_of
from tensorkiln.frontends.onnx.structure import (
    node_label,
    ordered_nodes,
    reads,
)
from tensorkiln.frontends.onnx.support import require_supported
from tensorkiln.frontends.onnx.tensors import array_of
from tensorkiln.runtime.errors import FeedError, ModelError, UnsupportedError

Fed: TypeAlias = "Array | list[Array] | None"
HostOp: TypeAlias = "Callable[[Node, Sequence[Array]], list[Array]]"

_TEXT_OPS: Mapping[str, HostOp] = {
    "StringConcat": concatenated,
    "StringSplit": split,
    "StringNormalizer": normalized,
    "RegexFullMatch": matched,
}


class Part(Protocol):
    """A compiled part that runs on what it is fed by name."""

    def run(self, inputs: Mapping[str, Any], /) -> tuple[Any, ...]:
        """The part's outputs in order."""
        ...


class HostedModel(BackendRep):
    """A model of which Python runs some nodes, and machine code (or the interpreter) the others.

    Machine code sees a text as an i64, equal for equal texts of one run, so that texts can be
    compared, gathered, looked up and returned there; nodes that look into texts or decode files
    are run by Python. `host_nodes` names these.
    """

    def __init__(self, model: ModelProto, prepare: Callable[[ModelProto], Part]) -> None:
        """`prepare` makes a part of a model without texts. ModelError, UnsupportedError."""
        load_model(model)
        self._coded: Coded = coded(model)
        self._prepare = prepare
        self._model = self._coded.model
        graph = self._model.graph
        self._known = {tensor.name: tensor for tensor in graph.initializer}
        self._fed = [value for value in graph.input if value.name not in self._known]
        self.inputs = [str(value.name) for value in self._fed]
        self._opsets = {schema_domain(o.domain): o.version for o in self._model.opset_import}
        self._outputs = [str(value.name) for value in graph.output]
        nodes = ordered_nodes(graph.node, [*self._known, *self.inputs], self._outputs, "the graph")
        host = {k for k, node in enumerate(nodes) if first_result(node) in self._coded.host}
        functions = {(f.domain, f.name): f for f in self._model.functions}
        compiled = [node for k, node in enumerate(nodes) if k not in host]
        require_supported(compiled, self._opsets, functions)
        self._segments = segments(nodes, host, self._known, self._outputs)
        self._parts: dict[object, Part] = {}
        wanted = {*self._outputs, *(name for k in host for name in reads(nodes[k]))}
        self._constants = {
            name: array_of(tensor, None, f"initializer {name!r}")
            for name, tensor in self._known.items()
            if name in wanted
        }
        self.host_nodes = tuple(node_label(nodes[k]) for k in sorted(host))

    def run(self, inputs: Sequence[Any] | Mapping[str, Any], **_: Any) -> tuple[Any, ...]:
        """The outputs for inputs in the model's order or by name; texts are objects of type str.

        FeedError names an input that is missing, and data that a node of the host cannot take.
        """
        if not isinstance(inputs, Mapping):
            if len(inputs) > len(self.inputs):
                raise FeedError(f"{len(inputs)} inputs for {len(self.inputs)}")
            inputs = dict(zip(self.inputs, inputs, strict=False))
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            raise FeedError(f"inputs {', '.join(map(repr, missing))} are missing")
        texts = self._coded.texts.copy()
        values = {name: self._taken(name, inputs[name], texts) for name in self.inputs}
        values.update(self._constants)
        for number, segment in enumerate(self._segments):
            if segment.host:
                for node in segment.nodes:
                    self._host(node, values, texts)
            else:
                self._compiled(number, segment, values)
        return tuple(self._given(name, values[name], texts) for name in self._outputs)

    def _taken(self, name: str, given: Any, texts: Texts) -> Fed:
        if given is None:
            return None
        if isinstance(given, list):
            return [self._tensor(name, item, texts) for item in given]
        return self._tensor(name, given, texts)

    def _tensor(self, name: str, given: Any, texts: Texts) -> Array:
        if name not in self._coded.names:
            return np.asarray(given)
        array = np.asarray(given)
        if array.dtype.kind not in "OUSTV":
            raise FeedError(f"input {name!r} is of texts, and is fed {array.dtype}")
        return texts.encoded(array)

    def _given(self, name: str, value: Fed, texts: Texts) -> Any:
        if value is None or name not in self._coded.names:
            return value
        if isinstance(value, list):
            return [texts.decoded(item.astype(np.int64)) for item in value]
        return texts.decoded(value.astype(np.int64))

    def _host(self, proto: NodeProto, values: dict[str, Fed], texts: Texts) -> None:
        """Runs a node of the host."""
        version = self._opsets.get(schema_domain(proto.domain), 0)
        node = Node(proto, version, schema_of(proto, version), Builder(REGISTRY), ())
        arrays = [self._operand(node, name, values, texts) for name in proto.input if name]
        if proto.op_type in ("Cast", "CastLike"):
            results = [self._cast(node, arrays[0])]
        elif proto.op_type in _TEXT_OPS:
            check_text(node, arrays)
            results = _TEXT_OPS[proto.op_type](node, arrays)
        else:
            results = decoded(node, arrays)
        for name, result in zip(proto.output, results, strict=False):
            if name:
                values[name] = texts.encoded(result) if result.dtype == object else result

    def _operand(self, node: Node, name: str, values: Mapping[str, Fed], texts: Texts) -> Array:
        value = values[name]
        if value is None or isinstance(value, list):
            raise ModelError(f"{node}: its input {name!r} is not a tensor")
        return texts.decoded(value.astype(np.int64)) if name in self._coded.names else value

    def _cast(self, node: Node, array: Array) -> Array:
        if node.proto.output[0] in self._coded.names:
            return array if array.dtype == object else written(node, array)
        if node.proto.op_type == "CastLike":
            raise node.unsupported("it casts texts to the type of another tensor")
        return read(node, array, dtype_of_element(node.integer("to"), f"attribute to of {node}"))

    def _compiled(self, number: int, segment: Segment, values: dict[str, Fed]) -> None:
        """Runs a part as a model of its own, which is made for the types that it is fed."""
        fed = {name: values[name] for name in segment.inputs}
        declared = {str(value.name): value for value in self._fed}
        kinds = [declared.get(name) or _value_info(name, value) for name, value in fed.items()]
        key = (number, tuple(kind.SerializeToString() for kind in kinds))
        if key not in self._parts:
            self._parts[key] = self._prepare(self._part(segment, kinds))
        results = self._parts[key].run(fed)
        values.update(zip(segment.outputs, results, strict=True))

    def _part(self, segment: Segment, inputs: Sequence[ValueInfoProto]) -> ModelProto:
        read_ = {name for node in segment.nodes for name in reads(node)}
        declared = {str(value.name): value for value in self._model.graph.output}
        graph = helper.make_graph(
            segment.nodes,
            self._model.graph.name or "part",
            inputs,
            [declared.get(name) or ValueInfoProto(name=name) for name in segment.outputs],
            [tensor for name, tensor in self._known.items() if name in read_],
        )
        part = helper.make_model(
            graph, opset_imports=self._model.opset_import, functions=self._model.functions
        )
        part.ir_version = self._model.ir_version
        return part


def _value_info(name: str, value: Fed) -> ValueInfoProto:
    """What is known of a value between two parts: its type and rank."""
    if value is None:
        raise UnsupportedError(f"{name!r} is an empty optional between two parts of the model")
    if isinstance(value, list):
        dtype = dtype_of(value[0].dtype) if value else I64
        return helper.make_tensor_sequence_value_info(name, ELEMENT_OF_DTYPE[dtype], None)
    element = ELEMENT_OF_DTYPE[dtype_of(value.dtype)]
    dims = [f"{name}.{axis}" for axis in range(value.ndim)]
    return helper.make_tensor_value_info(name, element, dims)


__all__ = ["HostedModel", "Part", "is_hosted"]
