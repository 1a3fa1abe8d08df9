"""The ops that a Saver adds to a graph, with the names that TensorFlow gives them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tensorkiln.frontends.graph.convert import constant_tensor
from tensorkiln.frontends.graph.files import ops_save
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_checkpoint import SaverDef
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.kinds import TABLE
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import identity, placeholder_with_default
from tensorkiln.frontends.graph.ops_state import assign
from tensorkiln.frontends.graph.save_slices import split_label
from tensorkiln.frontends.graph.scopes import group
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import ModelError

FAMILY = ops_save
"""The module of the ops' types."""


def add_saver_ops(
    graph: Graph, variables: Mapping[str, Operation], filename: str, scope: str
) -> Proto:
    """Adds ops that save and restore `variables`; the result is their description (SaverDef).

    Under `scope`: a file name to feed, `SaveV2`, `control_dependency` that saves, `RestoreV2`, an
    `Assign` a variable and `restore_all`.
    """
    with graph.as_default(), graph.name_scope(scope), graph.control_dependencies(None):
        name = constant_tensor(np.array(filename.encode(), object), "filename/input")
        path = placeholder_with_default(placeholder_with_default(name, (), "filename"), (), "Const")
        save = _save(graph, path, variables)
        with graph.control_dependencies([save]):
            saved = identity(path, "control_dependency")
        restored = _restore(graph, path, variables)
        assigned = [
            assign(op.outputs[0], value, name="Assign").op
            for op, value in zip(variables.values(), restored, strict=True)
        ]
        restore_all = group(*assigned, name="restore_all")
    return SaverDef(
        filename_tensor_name=path.name,
        save_tensor_name=saved.name,
        restore_op_name=restore_all.name,
        version=SaverDef.V2,
    )


def _names(variables: Mapping[str, Operation]) -> tuple[Tensor, Tensor]:
    pairs = [split_label(key) for key in variables]
    names = np.array([name.encode() for name, _ in pairs], object)
    slices = np.array([spec.encode() for _, spec in pairs], object)
    return constant_tensor(names, "tensor_names"), constant_tensor(slices, "shape_and_slices")


def _save(graph: Graph, path: Tensor, variables: Mapping[str, Operation]) -> Operation:
    with graph.name_scope("SaveV2") as scope:
        tensors = [op.outputs[0] for op in variables.values()]
        kinds = tuple(tensor.dtype.base_dtype for tensor in tensors)
        inputs = (path, *_names(variables), *tensors)
        return graph.create_op(TABLE["SaveV2"], inputs, {"dtypes": kinds}, scope)


def _restore(graph: Graph, path: Tensor, variables: Mapping[str, Operation]) -> list[Tensor]:
    with graph.name_scope("RestoreV2") as scope:
        kinds = tuple(op.outputs[0].dtype.base_dtype for op in variables.values())
        inputs = (path, *_names(variables))
        return graph.create_op(TABLE["RestoreV2"], inputs, {"dtypes": kinds}, scope).outputs


def saver_variables(graph: Graph, saver_def: Proto) -> dict[str, Operation]:
    """The variables by their names in the checkpoint that a graph's saver ops restore.

    ModelError if the graph has no such ops.
    """
    try:
        restore_all = graph.get_operation_by_name(str(saver_def.restore_op_name))
    except (KeyError, ValueError):
        raise ModelError(
            f"the saver's op {saver_def.restore_op_name!r} is not in the graph"
        ) from None
    found: dict[str, Operation] = {}
    waiting = list(restore_all.control_inputs)
    while waiting:
        op = waiting.pop()
        if op.type == "NoOp":
            waiting += op.control_inputs
        elif op.type == "Assign":
            source = op.inputs[1]
            while source.op.type == "Identity":
                source = source.op.inputs[0]
            if source.op.type == "RestoreV2":
                found[_key(source)] = op.inputs[0].op
    return dict(sorted(found.items()))


def _key(restored: Tensor) -> str:
    """The name in the checkpoint of an output of RestoreV2, with its slice."""
    words = []
    for place in (1, 2):
        texts = restored.op.inputs[place].op.attributes.get("value")
        if not isinstance(texts, np.ndarray) or restored.value_index >= texts.size:
            raise ModelError(f"{restored.op.name!r} has no list of names")
        text = texts.reshape(-1)[restored.value_index]
        words.append(text.decode() if isinstance(text, bytes) else str(text))
    return " ".join(word for word in words if word)
