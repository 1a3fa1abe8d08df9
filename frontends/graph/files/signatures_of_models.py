"""Signatures of saved models: which tensors are a model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.files import data_types
from tensorkiln.frontends.graph.files import signature_constants as names
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.proto_meta import SignatureDef, TensorInfo
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor


def build_tensor_info(tensor: object) -> Proto:
    """Name, element type and static shape of a tensor as a message (TensorInfo)."""
    found = convert_to_tensor(tensor)
    info = TensorInfo(name=found.name, dtype=data_types.number_of(found.dtype.base_dtype))
    info.tensor_shape.CopyFrom(data_types.shape_proto(found.sizes))
    return info


def get_tensor_from_tensor_info(
    tensor_info: Proto, graph: Graph | None = None, import_scope: str | None = None
) -> Tensor:
    """The tensor that a TensorInfo names; KeyError or ValueError if the graph lacks it."""
    prefix = f"{import_scope}/" if import_scope else ""
    return (graph or get_default_graph()).get_tensor_by_name(f"{prefix}{tensor_info.name}")


def build_signature_def(
    inputs: Mapping[str, Proto] | None = None,
    outputs: Mapping[str, Proto] | None = None,
    method_name: str | None = None,
) -> Proto:
    """A signature from TensorInfo messages by name."""
    signature = SignatureDef(method_name=method_name or "")
    for field, given in ((signature.inputs, inputs), (signature.outputs, outputs)):
        for key, info in (given or {}).items():
            field[key].CopyFrom(info)
    return signature


def predict_signature_def(inputs: Mapping[str, object], outputs: Mapping[str, object]) -> Proto:
    """A signature of a general model from tensors by name; ValueError without any."""
    if not inputs:
        raise ValueError("Prediction inputs cannot be None or empty.")
    if not outputs:
        raise ValueError("Prediction outputs cannot be None or empty.")
    return build_signature_def(_infos(inputs), _infos(outputs), names.PREDICT_METHOD_NAME)


def classification_signature_def(examples: object, classes: object, scores: object) -> Proto:
    """A signature of a classifier: serialised examples to classes (strings), scores or both."""
    if examples is None:
        raise ValueError("Classification examples cannot be None.")
    if classes is None and scores is None:
        raise ValueError("Classification classes and scores cannot both be None.")
    outputs = {}
    if classes is not None:
        _require(classes, dtypes.string, "Classification classes")
        outputs[names.CLASSIFY_OUTPUT_CLASSES] = classes
    if scores is not None:
        _require(scores, dtypes.float32, "Classification scores")
        outputs[names.CLASSIFY_OUTPUT_SCORES] = scores
    _require(examples, dtypes.string, "Classification input tensors")
    inputs = {names.CLASSIFY_INPUTS: examples}
    return build_signature_def(_infos(inputs), _infos(outputs), names.CLASSIFY_METHOD_NAME)


def regression_signature_def(examples: object, predictions: object) -> Proto:
    """A signature of a regression: serialised examples to float32 numbers."""
    if examples is None:
        raise ValueError("Regression examples cannot be None.")
    if predictions is None:
        raise ValueError("Regression predictions cannot be None.")
    _require(examples, dtypes.string, "Regression input tensors")
    _require(predictions, dtypes.float32, "Regression output tensors")
    return build_signature_def(
        _infos({names.REGRESS_INPUTS: examples}), _infos({names.REGRESS_OUTPUTS: predictions}),
        names.REGRESS_METHOD_NAME,
    )  # fmt: skip


def is_valid_signature(signature_def: Proto) -> bool:
    """True for a signature with inputs, outputs and a method that serving knows."""
    methods = (names.CLASSIFY_METHOD_NAME, names.PREDICT_METHOD_NAME, names.REGRESS_METHOD_NAME)
    return bool(
        signature_def is not None
        and signature_def.inputs
        and signature_def.outputs
        and signature_def.method_name in methods
    )


def _infos(tensors: Mapping[str, object]) -> dict[str, Proto]:
    return {key: build_tensor_info(tensor) for key, tensor in tensors.items()}


def _require(tensor: object, dtype: dtypes.DType, what: str) -> None:
    found = convert_to_tensor(tensor).dtype.base_dtype
    if found is not dtype:
        raise ValueError(f"{what} must be of type {dtype.name}, got {found.name}")
