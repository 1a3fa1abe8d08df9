"""`tf.layers`: layers that make their own variables, named `<layer>/kernel`, `<layer>/bias` ..."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.initializers import Ones, Zeros
from tensorkiln.frontends.graph.ops_constant import identity
from tensorkiln.frontends.graph.ops_convolution import conv2d as convolve
from tensorkiln.frontends.graph.ops_matmul import matmul, tensordot
from tensorkiln.frontends.graph.ops_normalize import batch_normalization as normalize
from tensorkiln.frontends.graph.ops_normalize import bias_add, fused_batch_norm, moments
from tensorkiln.frontends.graph.ops_normalize import dropout as drop
from tensorkiln.frontends.graph.ops_pool import avg_pool, max_pool
from tensorkiln.frontends.graph.ops_shape import reshape, shape
from tensorkiln.frontends.graph.ops_state import assign_sub
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import get_variable, variable_scope
from tensorkiln.frontends.graph.variables import Variable

Activation: TypeAlias = Callable[[Tensor], Tensor] | None
Regularizer: TypeAlias = Callable[[object], object] | None
_LAYOUTS = {"channels_last": "NHWC", "channels_first": "NCHW"}


def _size(tensor: Tensor, axis: int) -> int:
    """The size of a dim that a layer's variables depend on; ValueError if it is unknown."""
    if tensor.sizes is None or tensor.sizes[axis] is None:
        raise ValueError(
            f"The dim {axis} of the inputs to a layer should be defined. Found {tensor}."
        )
    return int(tensor.sizes[axis] or 0)


def _finish(result: Tensor, activation: Activation) -> Tensor:
    return result if activation is None else activation(result)


def dense(
    inputs: object, units: int, activation: Activation = None, use_bias: bool = True,
    kernel_initializer: object = None, bias_initializer: object = Zeros(),
    kernel_regularizer: Regularizer = None, bias_regularizer: Regularizer = None,
    activity_regularizer: Regularizer = None, trainable: bool = True, name: str | None = None,
    reuse: bool | None = None,
) -> Tensor:  # fmt: skip
    """activation(inputs @ kernel + bias), over the last dim."""
    tensor = convert_to_tensor(inputs)
    with variable_scope(name, "dense", [tensor], reuse=reuse):
        return dense_in_scope(
            tensor, units, activation, use_bias, kernel_initializer, bias_initializer,
            kernel_regularizer, bias_regularizer, trainable,
        )  # fmt: skip


def dense_in_scope(
    tensor: Tensor, units: int, activation: Activation, use_bias: bool,
    kernel_initializer: object, bias_initializer: object, kernel_regularizer: Regularizer,
    bias_regularizer: Regularizer, trainable: bool,
) -> Tensor:  # fmt: skip
    """`dense` with variables in the current scope."""
    dtype = tensor.dtype.base_dtype
    kernel = get_variable(
        "kernel", [_size(tensor, -1), units], dtype, kernel_initializer, kernel_regularizer,
        trainable,
    )  # fmt: skip
    flat = tensor.sizes is not None and len(tensor.sizes) == 2
    result = matmul(tensor, kernel) if flat else tensordot(tensor, kernel, [[-1], [0]])
    if use_bias:
        bias = get_variable("bias", [units], dtype, bias_initializer, bias_regularizer, trainable)
        result = bias_add(result, bias)
    return _finish(result, activation)


def conv2d(
    inputs: object, filters: int, kernel_size: object, strides: object = (1, 1),
    padding: str = "valid", data_format: str = "channels_last", dilation_rate: object = (1, 1),
    activation: Activation = None, use_bias: bool = True, kernel_initializer: object = None,
    bias_initializer: object = Zeros(), kernel_regularizer: Regularizer = None,
    bias_regularizer: Regularizer = None, activity_regularizer: Regularizer = None,
    trainable: bool = True, name: str | None = None, reuse: bool | None = None,
) -> Tensor:  # fmt: skip
    """activation(convolution of inputs with kernel [height, width, in, filters] + bias)."""
    tensor, layout = convert_to_tensor(inputs), _LAYOUTS[data_format]
    with variable_scope(name, "conv2d", [tensor], reuse=reuse):
        dtype = tensor.dtype.base_dtype
        channels = _size(tensor, 1 if layout == "NCHW" else -1)
        kernel = get_variable(
            "kernel", [*_pair(kernel_size), channels, filters], dtype, kernel_initializer,
            kernel_regularizer, trainable,
        )  # fmt: skip
        result = convolve(
            tensor, kernel, _spread(strides, layout), padding, data_format=layout,
            dilations=_spread(dilation_rate, layout),
        )  # fmt: skip
        if use_bias:
            bias = get_variable(
                "bias", [filters], dtype, bias_initializer, bias_regularizer, trainable
            )
            result = bias_add(result, bias, layout)
        return _finish(result, activation)


def _pair(value: object) -> tuple[int, int]:
    rows, columns = np.broadcast_to(np.asarray(value), (2,)).tolist()
    return rows, columns


def _spread(value: object, layout: str) -> tuple[int, int, int, int]:
    rows, columns = _pair(value)
    return (1, 1, rows, columns) if layout == "NCHW" else (1, rows, columns, 1)


def max_pooling2d(
    inputs: object, pool_size: object, strides: object, padding: str = "valid",
    data_format: str = "channels_last", name: str | None = None,
) -> Tensor:  # fmt: skip
    """The largest element of each window."""
    layout = _LAYOUTS[data_format]
    sizes, steps = _spread(pool_size, layout), _spread(strides, layout)
    with name_scope(name, "max_pooling2d"):
        return max_pool(inputs, sizes, steps, padding, layout)


def average_pooling2d(
    inputs: object, pool_size: object, strides: object, padding: str = "valid",
    data_format: str = "channels_last", name: str | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window's cells."""
    layout = _LAYOUTS[data_format]
    sizes, steps = _spread(pool_size, layout), _spread(strides, layout)
    with name_scope(name, "average_pooling2d"):
        return avg_pool(inputs, sizes, steps, padding, layout)


def flatten(inputs: object, name: str | None = None, data_format: str = "channels_last") -> Tensor:
    """Each example as one row."""
    tensor = convert_to_tensor(inputs)
    with name_scope(name, "flatten", [tensor]):
        sizes = tensor.sizes
        if sizes is not None and None not in sizes[1:]:
            return reshape(tensor, [-1, math.prod(size for size in sizes[1:] if size is not None)])
        return reshape(tensor, make("Pack", ([shape(tensor)[0], -1],), "stack", axis=0))


def dropout(
    inputs: object, rate: float = 0.5, noise_shape: object = None, seed: int | None = None,
    training: object = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """In training elements dropped with probability `rate`, else the inputs."""
    tensor = convert_to_tensor(inputs)
    with name_scope(name, "dropout", [tensor]):
        if not isinstance(training, Convertible):
            kept = drop(tensor, 1 - rate, noise_shape, seed) if training else identity(tensor)
            return kept
        return make("Select", (training, drop(tensor, 1 - rate, noise_shape, seed), tensor))


def batch_normalization(
    inputs: object, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3,
    center: bool = True, scale: bool = True, beta_initializer: object = Zeros(),
    gamma_initializer: object = Ones(), moving_mean_initializer: object = Zeros(),
    moving_variance_initializer: object = Ones(), training: object = False,
    trainable: bool = True, name: str | None = None, reuse: bool | None = None,
) -> Tensor:  # fmt: skip
    """Normalised by the batch's moments in training, by moving averages else.

    The averages change only where the ops of the collection UPDATE_OPS run.
    """
    tensor = convert_to_tensor(inputs)
    if tensor.sizes is None:
        raise ValueError(f"batch_normalization needs inputs of known rank, not {tensor}")
    rank = len(tensor.sizes)
    place = axis % rank
    with variable_scope(name, "batch_normalization", [tensor], reuse=reuse):
        size, dtype = [_size(tensor, place)], tensor.dtype.base_dtype
        gamma = get_variable("gamma", size, dtype, gamma_initializer, trainable=trainable and scale)
        beta = get_variable("beta", size, dtype, beta_initializer, trainable=trainable and center)
        mean, variance = (
            get_variable(label, size, dtype, initializer, trainable=False)
            for label, initializer in (
                ("moving_mean", moving_mean_initializer),
                ("moving_variance", moving_variance_initializer),
            )
        )
        wide = [n if k == place else 1 for k, n in enumerate(size * rank)]
        spread = [reshape(v, wide) for v in (mean, variance, beta, gamma)]
        steady = normalize(tensor, spread[0], spread[1], spread[2], spread[3], epsilon)
        if not isinstance(training, Convertible) and not training:
            return steady
        trained, averages = _by_batch(tensor, gamma, beta, place, epsilon)
        for moving, value in zip((mean, variance), averages, strict=True):
            _update(moving, value, momentum, training)
        if isinstance(training, Convertible):
            return make("Select", (training, trained, steady))
        return trained


def _by_batch(
    tensor: Tensor, gamma: Variable, beta: Variable, axis: int, epsilon: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    rank = len(tensor.sizes or ())
    if rank == 4 and axis in (1, 3):
        layout = "NHWC" if axis == 3 else "NCHW"
        y, mean, unbiased = fused_batch_norm(
            tensor, gamma, beta, epsilon=epsilon, data_format=layout
        )
        return y, (mean, unbiased)
    mean, variance = moments(tensor, [k for k in range(rank) if k != axis])
    wide = [-1 if k == axis else 1 for k in range(rank)]
    parts = [reshape(t, wide) for t in (mean, variance, beta, gamma)]
    mean_wide, variance_wide, offset, factor = parts
    y = normalize(tensor, mean_wide, variance_wide, offset, factor, epsilon)
    return y, (mean, variance)


def _update(moving: Variable, value: Tensor, momentum: float, training: object) -> None:
    change = (moving.value() - value) * (1.0 - momentum)
    if isinstance(training, Convertible):
        change = make("Select", (training, change, make("ZerosLike", (change,), dtype=value.dtype)))
    update = assign_sub(moving, change, name="AssignMovingAvg")
    get_default_graph().add_to_collection(GraphKeys.UPDATE_OPS, update)
