"""Models to be trained by an artifact: from a graph with an optimizer, or from an ONNX model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.dtypes import F32, I64
from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.load import Source, load_model
from tensorkiln.frontends.onnx.tensors import array_of
from tensorkiln.runtime.errors import ModelError, UnsupportedError

# makes the loss (a scalar) of logits or predictions, and the labels' parameter
Loss = Callable[[Builder, Value], Value]
# (builder, parameter, gradient, learning rate, slots) -> new parameter, new slots
Update = Callable[[Builder, Value, Value, float, Sequence[Value]], tuple[Value, list[Value]]]


def softmax_cross_entropy(builder: Builder, logits: Value) -> Value:
    """The mean over the rows of -log softmax(logits)[label]; `labels` i64[batch].

    A label outside of the classes adds nothing to the loss.
    """
    if len(logits.shape) != 2 or not logits.dtype.is_float:
        raise ModelError(
            f"softmax_cross_entropy wants float logits of two dims, the model gives {logits.type}"
        )
    batch, classes = logits.shape
    labels = builder.parameter("labels", TensorType((batch,), I64))
    columns = shorthand.iota(builder, (batch, classes), 1, I64)
    rows = shorthand.broadcast_in_dim(builder, labels, (batch, classes), (0,))
    hot = shorthand.convert(builder, shorthand.compare(builder, "EQ", columns, rows), logits.dtype)
    log = builder.one("log_softmax", (logits,), axis=1)
    picked = shorthand.reduce_sum(builder, builder.one("multiply", (hot, log)))
    return _scaled(builder, picked, -1.0 / max(batch, 1))


def mean_squared_error(builder: Builder, prediction: Value) -> Value:
    """The mean of (prediction - targets)^2; `targets` has the prediction's type."""
    targets = builder.parameter("targets", prediction.type)
    difference = builder.one("subtract", (prediction, targets))
    squares = builder.one("multiply", (difference, difference))
    return shorthand.reduce_mean(builder, squares)


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "mean_squared_error": mean_squared_error,
}


def _sgd(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """x - rate g."""
    step = _scaled(builder, gradient, rate)
    return builder.one("subtract", (x, step)), []


def _momentum(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """v = 0.9 v + g; x - rate v (B. Polyak, 1964)."""
    velocity = builder.one("add", (_scaled(builder, slots[0], 0.9), gradient))
    step = _scaled(builder, velocity, rate)
    return builder.one("subtract", (x, step)), [velocity]


def _adam(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """D. Kingma, J. Ba, Adam, 2015, with the order of computation before section 2.1; the slots
    are m, v, beta1^t, beta2^t; beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8."""
    m, v, power1, power2 = slots
    power1, power2 = _scaled(builder, power1, 0.9), _scaled(builder, power2, 0.999)
    m = builder.one("add", (_scaled(builder, m, 0.9), _scaled(builder, gradient, 0.1)))
    squares = builder.one("multiply", (gradient, gradient))
    v = builder.one("add", (_scaled(builder, v, 0.999), _scaled(builder, squares, 0.001)))
    one = shorthand.scalar(builder, 1.0, x.dtype)
    root = builder.one("sqrt", (builder.one("subtract", (one, power2)),))
    factor = builder.one("divide", (root, builder.one("subtract", (one, power1))))
    small = shorthand.full_like(builder, v, 1e-8)
    ratio = builder.one("divide", (m, builder.one("add", (builder.one("sqrt", (v,)), small))))
    factor = shorthand.broadcast_in_dim(builder, _scaled(builder, factor, rate), x.shape, ())
    step = builder.one("multiply", (factor, ratio))
    return builder.one("subtract", (x, step)), [m, v, power1, power2]


# the update, and the initial value of each slot for a parameter's zeros
_OPTIMIZERS: dict[str, tuple[Update, Callable[[str, Array], dict[str, Array]]]] = {
    "sgd": (_sgd, lambda name, zeros: {}),
    "momentum": (_momentum, lambda name, zeros: {f"{name}/momentum": zeros}),
    "adam": (
        _adam,
        lambda name, zeros: {
            f"{name}/adam_m": zeros,
            f"{name}/adam_v": zeros,
            f"{name}/beta1_power": np.ones((), zeros.dtype),
            f"{name}/beta2_power": np.ones((), zeros.dtype),
        },
    ),
}
OPTIMIZERS = tuple(_OPTIMIZERS)


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
    `targets`; its output is `loss`. ModelError for names that are not there.
    """
    if loss not in LOSSES or optimizer not in _OPTIMIZERS:
        raise ModelError(
            f"loss {loss!r} with optimizer {optimizer!r}: choose of {', '.join(LOSSES)} and of"
            f" {', '.join(OPTIMIZERS)}"
        )
    model, folder = load_model(source)
    names = _trainable(model.graph) if trainable is None else list(trainable)
    opened, values = _open(model, folder, names)
    predict = import_model(opened, dims=dims, name="predict")
    missing = [name for name in values if name not in {v.name for v in predict.parameters}]
    if missing:
        raise ModelError(f"the initializers {', '.join(missing)} are not read by the model")
    step, state = _step(predict, values, LOSSES[loss], optimizer, learning_rate)
    return TrainingModel({**values, **state}, step, predict)


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
    if unknown:
        raise ModelError(f"the model has no initializer {', '.join(unknown)}")
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
    predict: Function,
    values: Mapping[str, Array],
    loss: Loss,
    optimizer: str,
    rate: float,
) -> tuple[Function, dict[str, Array]]:
    """The training step, and the initial values of the optimizer's slots."""
    update, slots_of = _OPTIMIZERS[optimizer]
    builder = Builder(REGISTRY, "train_step")
    parameters = [builder.parameter(v.name, v.type) for v in predict.parameters]
    (first, *_) = builder.inline(predict, parameters)
    error = loss(builder, first)
    weights = [v for v in parameters if v.name in values]
    gradients = differentiate(builder, [error], weights)
    results, names = [error], ["loss"]
    aliases: dict[int, int] = {}
    state: dict[str, Array] = {}
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is None:
            continue  # the loss does not depend on it
        slots = slots_of(weight.name, np.zeros(weight.shape, weight.dtype.numpy))
        state.update(slots)
        before = [
            builder.parameter(name, TensorType(array.shape, F32)) for name, array in slots.items()
        ]
        new, after = update(builder, weight, gradient, rate, before)
        for old, value in zip((weight, *before), (new, *after), strict=True):
            aliases[len(results)] = builder.parameters.index(old)
            results.append(value)
            names.append(f"{old.name}/new")
    return builder.finish(results, names, aliases), state


def _scaled(builder: Builder, x: Value, factor: float) -> Value:
    return builder.one("multiply", (x, shorthand.full_like(builder, x, factor)))
