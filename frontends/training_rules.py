"""Losses and optimizers for models that bring none: what an ONNX model is trained by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder, shorthand
from tensorkiln.runtime.errors import ModelError

# makes the loss (a scalar) of logits or predictions, and the labels' parameter
Loss = Callable[[Builder, Value], Value]
# (builder, parameter, gradient, learning rate, slots and powers) -> new parameter, new slots
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
    labels = own_parameter(builder, "labels", TensorType((batch,), I64))
    columns = shorthand.iota(builder, (batch, classes), 1, I64)
    rows = shorthand.broadcast_in_dim(builder, labels, (batch, classes), (0,))
    hot = shorthand.convert(builder, shorthand.compare(builder, "EQ", columns, rows), logits.dtype)
    log = builder.one("log_softmax", (logits,), axis=1)
    picked = shorthand.reduce_sum(builder, builder.one("multiply", (hot, log)))
    return scaled(builder, picked, -1.0 / max(batch, 1))


def mean_squared_error(builder: Builder, prediction: Value) -> Value:
    """The mean of (prediction - targets)^2; `targets` has the prediction's type."""
    targets = own_parameter(builder, "targets", prediction.type)
    difference = builder.one("subtract", (prediction, targets))
    squares = builder.one("multiply", (difference, difference))
    return shorthand.reduce_mean(builder, squares)


def mean_absolute_error(builder: Builder, prediction: Value) -> Value:
    """The mean of |prediction - targets|; `targets` has the prediction's type."""
    targets = own_parameter(builder, "targets", prediction.type)
    difference = builder.one("subtract", (prediction, targets))
    return shorthand.reduce_mean(builder, builder.one("abs", (difference,)))


def sigmoid_cross_entropy(builder: Builder, logits: Value) -> Value:
    """The mean of max(x, 0) - x z + log(1 + exp(-|x|)) of logits x and `targets` z from 0 to 1,
    which have the logits' type: -z log sigmoid(x) - (1 - z) log(1 - sigmoid(x)) without overflow.
    """
    targets = own_parameter(builder, "targets", logits.type)
    zero = shorthand.zeros_like(builder, logits)
    positive = builder.one("maximum", (logits, zero))
    product = builder.one("multiply", (logits, targets))
    minus = builder.one("negate", (builder.one("abs", (logits,)),))
    log = builder.one("log_plus_one", (builder.one("exponential", (minus,)),))
    first = builder.one("subtract", (positive, product))
    return shorthand.reduce_mean(builder, builder.one("add", (first, log)))


# the loss, and what makes probabilities out of its logits, through which it looks
LOSSES: dict[str, tuple[Loss, str]] = {
    "softmax_cross_entropy": (softmax_cross_entropy, "softmax"),
    "sigmoid_cross_entropy": (sigmoid_cross_entropy, "logistic"),
    "mean_squared_error": (mean_squared_error, ""),
    "mean_absolute_error": (mean_absolute_error, ""),
}


def _sgd(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """x - rate g."""
    step = scaled(builder, gradient, rate)
    return builder.one("subtract", (x, step)), []


def _momentum(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """v = 0.9 v + g; x - rate v (B. Polyak, 1964)."""
    velocity = builder.one("add", (scaled(builder, slots[0], 0.9), gradient))
    step = scaled(builder, velocity, rate)
    return builder.one("subtract", (x, step)), [velocity]


def _adam(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """D. Kingma, J. Ba, Adam, 2015, with the order of computation before section 2.1; the slots
    are m, v and the powers beta1^t, beta2^t; beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8."""
    m, v, power1, power2 = slots
    m = builder.one("add", (scaled(builder, m, 0.9), scaled(builder, gradient, 0.1)))
    squares = builder.one("multiply", (gradient, gradient))
    v = builder.one("add", (scaled(builder, v, 0.999), scaled(builder, squares, 0.001)))
    one = shorthand.scalar(builder, 1.0, x.dtype)
    root = builder.one("sqrt", (builder.one("subtract", (one, power2)),))
    factor = builder.one("divide", (root, builder.one("subtract", (one, power1))))
    small = shorthand.full_like(builder, v, 1e-8)
    ratio = builder.one("divide", (m, builder.one("add", (builder.one("sqrt", (v,)), small))))
    factor = shorthand.broadcast_in_dim(builder, scaled(builder, factor, rate), x.shape, ())
    step = builder.one("multiply", (factor, ratio))
    return builder.one("subtract", (x, step)), [m, v]


def _adamw(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """Adam with decoupled weight decay of 0.01 (I. Loshchilov, F. Hutter, 2019): the parameter
    loses 0.01 rate x besides Adam's step."""
    decayed = scaled(builder, x, 1.0 - 0.01 * rate)
    new, after = _adam(builder, x, gradient, rate, slots)
    step = builder.one("subtract", (x, new))
    return builder.one("subtract", (decayed, step)), after


def _adagrad(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """a = a + g^2; x - rate g / sqrt(a), with a = 0.1 at first (J. Duchi et al., 2011)."""
    squares = builder.one("add", (slots[0], builder.one("multiply", (gradient, gradient))))
    ratio = builder.one("divide", (gradient, builder.one("sqrt", (squares,))))
    return builder.one("subtract", (x, scaled(builder, ratio, rate))), [squares]


def _rmsprop(
    builder: Builder, x: Value, gradient: Value, rate: float, slots: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """a = 0.9 a + 0.1 g^2; x - rate g / sqrt(a + 1e-10) (T. Tieleman, G. Hinton, 2012)."""
    squares = builder.one("multiply", (gradient, gradient))
    mean = builder.one("add", (scaled(builder, slots[0], 0.9), scaled(builder, squares, 0.1)))
    safe = builder.one("add", (mean, shorthand.full_like(builder, mean, 1e-10)))
    ratio = builder.one("divide", (gradient, builder.one("sqrt", (safe,))))
    return builder.one("subtract", (x, scaled(builder, ratio, rate))), [mean]


def _adam_slots(name: str, zeros: Array) -> dict[str, Array]:
    return {f"{name}/adam_m": zeros, f"{name}/adam_v": zeros}


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An update, the initial slots of a parameter (from its name and zeros of its shape), and
    numbers for all parameters that start at 1 and are multiplied by a base in each step."""

    update: Update
    slots: Callable[[str, Array], dict[str, Array]]
    powers: Mapping[str, float] = field(default_factory=dict)


_BETAS = {"beta1_power": 0.9, "beta2_power": 0.999}
DEFAULT_OPTIMIZER, DEFAULT_RATE = "adam", 0.001
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(_sgd, lambda name, zeros: {}),
    "momentum": Optimizer(_momentum, lambda name, zeros: {f"{name}/momentum": zeros}),
    "adam": Optimizer(_adam, _adam_slots, _BETAS),
    "adamw": Optimizer(_adamw, _adam_slots, _BETAS),
    "adagrad": Optimizer(
        _adagrad, lambda name, zeros: {f"{name}/accumulator": np.full_like(zeros, 0.1)}
    ),
    "rmsprop": Optimizer(_rmsprop, lambda name, zeros: {f"{name}/mean_square": zeros}),
}


def own_parameter(builder: Builder, name: str, type_: TensorType) -> Value:
    """A parameter that training adds; ModelError where the model has an input of its name."""
    value = builder.parameter(name, type_)
    if value.name != name:
        raise ModelError(f"the model has an input {name!r}, a name that its training needs")
    return value


def scaled(builder: Builder, x: Value, factor: float) -> Value:
    """`x` times a number."""
    return builder.one("multiply", (x, shorthand.full_like(builder, x, factor)))
