"""ONNX models to be trained by an artifact: with a loss, and an optimizer of what is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.load import Source, load_model
from tensorkiln.frontends.onnx.tensors import array_of
from tensorkiln.frontends.training_rules import LOSSES, OPTIMIZERS, own_parameter, scaled
from tensorkiln.runtime.errors import ModelError, UnsupportedError
from tensorkiln.runtime.training_manifest import Recipe


def train_onnx(
    source: Source,
    *,
    loss: str,
    optimizer: str,
    learning_rate: float,
    dims: Mapping[str, int] | None = None,
    trainable: Sequence[str] | None = None,
) -> TrainingModel:
    """The ONNX model with a loss on its first output and an optimizer.

    `trainable` names the initializers to train, by default all of f32 that have a dim, except the
    statistics of batch norms, which stay. Inputs of the step are the model's and `labels` or
    `targets`; its output is `loss`. Cross entropies are of logits: where the model ends in the
    softmax or sigmoid itself, of what that reads. ModelError for names that are not there.
    """
    if loss not in LOSSES or optimizer not in OPTIMIZERS:
        raise ModelError(
            f"loss {loss!r} with optimizer {optimizer!r}: choose of {', '.join(LOSSES)} and of"
            f" {', '.join(OPTIMIZERS)}"
        )
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise ModelError(f"learning rate {learning_rate}: it must be a positive number")
    model, folder = load_model(source)
    names = _trainable(model.graph) if trainable is None else list(trainable)
    opened, values = _open(model, folder, names)
    predict = import_model(opened, dims=dims, name="predict")
    missing = [name for name in values if name not in {v.name for v in predict.parameters}]
    if missing:
        raise ModelError(f"the initializers {', '.join(missing)} are not read by the model")
    step, state = _step(predict, values, loss, optimizer, learning_rate)
    recipe = Recipe(loss, optimizer, learning_rate, tuple(names))
    return TrainingModel({**values, **state}, step, predict, recipe)


def _trainable(graph: GraphProto) -> list[str]:
    statistics = {
        name
        for node in graph.node
        if node.op_type == "BatchNormalization"
        for name in node.input[3:]
    }
    names = [
        tensor.name
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and tensor.dims and tensor.name not in statistics
    ]
    if not names:
        raise ModelError("the model has no f32 initializer to be trained")
    return names


def _open(
    model: ModelProto, folder: Path | None, names: Sequence[str]
) -> tuple[ModelProto, dict[str, Array]]:
    """A copy of the model in which the named initializers are inputs, and their values."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    unknown = [name for name in names if name not in found]
    if unknown or len(set(names)) < len(names):
        what = f"no initializer {', '.join(unknown)}" if unknown else "initializers named once only"
        raise ModelError(f"trainable: the model has {what}")
    others = [name for name in names if found[name].data_type != TensorProto.FLOAT]
    if others:
        raise UnsupportedError(
            f"trainable: {', '.join(others)}: only initializers of f32 are trained"
        )
    copy = ModelProto()
    copy.CopyFrom(model)
    kept = [tensor for tensor in copy.graph.initializer if tensor.name not in names]
    inputs = [value for value in copy.graph.input if value.name not in names]
    inputs += [
        helper.make_tensor_value_info(name, found[name].data_type, list(found[name].dims))
        for name in names
    ]
    del copy.graph.initializer[:], copy.graph.input[:]
    copy.graph.initializer.extend(kept)
    copy.graph.input.extend(inputs)
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in kept):
        raise UnsupportedError("a model whose untrained initializers lie in other files")
    values = {name: array_of(found[name], folder, f"initializer {name!r}") for name in names}
    return copy, {name: np.array(array) for name, array in values.items()}


def _step(
    predict: Function, values: Mapping[str, Array], loss: str, optimizer: str, rate: float
) -> tuple[Function, dict[str, Array]]:
    """The training step, and the initial values of the optimizer's slots."""
    method = OPTIMIZERS[optimizer]
    error_of, through = LOSSES[loss]
    builder = Builder(REGISTRY, "train_step")
    parameters = [builder.parameter(v.name, v.type) for v in predict.parameters]
    results = builder.inline(predict, parameters)
    if not results or not results[0].dtype.is_float:
        raise ModelError(f"{loss} wants floats, the model's first output is not of floats")
    error = error_of(builder, _logits(builder, results[0], through))
    weights = [v for v in parameters if v.name in values]
    gradients = differentiate(builder, [error], weights)
    state: dict[str, Array] = {}
    kept: list[tuple[Value, Value]] = []  # tensors of the state before and after the step
    powers: list[Value] = []
    for name, base in method.powers.items():
        state[f"{optimizer}/{name}"] = np.ones((), np.float32)
        before = own_parameter(builder, f"{optimizer}/{name}", TensorType((), F32))
        powers.append(scaled(builder, before, base))
        kept.append((before, powers[-1]))
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is None:
            continue  # the loss does not depend on it
        slots = method.slots(weight.name, np.zeros(weight.shape, weight.dtype.numpy))
        state.update(slots)
        own = [
            own_parameter(builder, name, TensorType(array.shape, F32))
            for name, array in slots.items()
        ]
        new, after = method.update(builder, weight, gradient, rate, [*own, *powers])
        kept += zip((weight, *own), (new, *after), strict=True)
    results = [error, *(value for _, value in kept)]
    names = ["loss", *(f"{old.name}/new" for old, _ in kept)]
    aliases = {k + 1: builder.parameters.index(old) for k, (old, _) in enumerate(kept)}
    return builder.finish(results, names, aliases), state


def _logits(builder: Builder, output: Value, through: str) -> Value:
    """What the output is made of if the op named `through` makes it: probabilities of logits."""
    for op in builder.ops:
        axis = op.attributes.get("axis", -1)
        if output in op.results and op.name == through and axis in (-1, len(output.shape) - 1):
            return op.operands[0]
    return output
