"""ONNX nodes as functions of jax.numpy and lax."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from onnx_nodes import Table

_LETTERS = {1: ("NCH", "OIH", "NCH"), 2: ("NCHW", "OIHW", "NCHW")}
_TYPES = {1: jnp.float32, 6: jnp.int32, 7: jnp.int32, 9: jnp.bool_}


def _conv(x: Any, w: Any, b: Any = None, *, strides: Any = (), pads: Any = (), dilations: Any = (),
          group: int = 1, **_: Any) -> Any:  # fmt: skip
    rank = x.ndim - 2
    y = lax.conv_general_dilated(
        x, w, tuple(strides) or (1,) * rank, _pairs(pads or (0,) * (2 * rank)),
        rhs_dilation=tuple(dilations) or (1,) * rank, feature_group_count=group,
        dimension_numbers=_LETTERS[rank], precision=lax.Precision.HIGHEST,
    )  # fmt: skip
    return y if b is None else y + b.reshape(-1, *(1,) * rank)


def _pairs(pads: Any) -> tuple[tuple[int, int], ...]:
    half = len(pads) // 2
    return tuple(zip(pads[:half], pads[half:], strict=True))


def _window(x: Any, start: float, fold: Any, kernel_shape: Any, strides: Any, pads: Any,
            ceil_mode: int) -> Any:  # fmt: skip
    padding = [*_pairs(pads)]
    if ceil_mode:
        for k, (low, high) in enumerate(padding):
            rest = (x.shape[2 + k] + low + high - kernel_shape[k]) % strides[k]
            padding[k] = (low, high + (strides[k] - rest if rest else 0))
    size, steps = (1, 1, *kernel_shape), (1, 1, *strides)
    return lax.reduce_window(x, np.float32(start), fold, size, steps, ((0, 0), (0, 0), *padding))


def _average(x: Any, *, kernel_shape: Any, strides: Any, pads: Any = (0, 0, 0, 0),
             count_include_pad: int = 0, ceil_mode: int = 0, **_: Any) -> Any:  # fmt: skip
    total = _window(x, 0, lax.add, kernel_shape, strides, pads, ceil_mode)
    if count_include_pad or not any(pads):
        return total / np.prod(kernel_shape)
    ones = np.ones((1, 1, *x.shape[2:]), np.float32)
    return total / _window(ones, 0, lax.add, kernel_shape, strides, pads, ceil_mode)


def _max_pool(x: Any, *, kernel_shape: Any, strides: Any, pads: Any = (0, 0, 0, 0),
              ceil_mode: int = 0, **_: Any) -> Any:  # fmt: skip
    return _window(x, -np.inf, lax.max, kernel_shape, strides, pads, ceil_mode)


def _response_norm(x: Any, *, size: int, alpha: float = 1e-4, beta: float = 0.75,
                   bias: float = 1.0) -> Any:  # fmt: skip
    low = (size - 1) // 2
    sums = lax.reduce_window(
        x * x, np.float32(0), lax.add, (1, size, 1, 1), (1, 1, 1, 1),
        ((0, 0), (low, size - 1 - low), (0, 0), (0, 0)),
    )  # fmt: skip
    return x / (bias + alpha / size * sums) ** beta


def _normalize(x: Any, s: Any, b: Any, *, epsilon: float = 1e-5, **_: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(x.var(-1, keepdims=True) + epsilon) * s + b


def _batch_norm(x: Any, s: Any, b: Any, m: Any, v: Any, *, epsilon: float = 1e-5, **_: Any) -> Any:
    scale = s * lax.rsqrt(v + epsilon)
    return x * scale[:, None, None] + (b - m * scale)[:, None, None]


def _gemm(x: Any, w: Any, b: Any = 0.0, *, transB: int = 0, **_: Any) -> Any:
    return x @ (w.T if transB else w) + b


def _lstm(x: Any, w: Any, r: Any, b: Any, *rest: Any, hidden_size: int, **options: Any) -> Any:
    if rest or options:
        raise NotImplementedError("LSTM with lengths, states, peepholes or options")
    # The inputs' part of all steps is one product; the scan has the states' part.
    gates = x @ w[0].T + (b[0, : 4 * hidden_size] + b[0, 4 * hidden_size :])
    turned = r[0].T

    def step(state: Any, given: Any) -> Any:
        h, c = state
        i, o, f, g = jnp.split(given + h @ turned, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], hidden_size), x.dtype)
    (h, c), y = lax.scan(step, (zeros, zeros), gates)
    return y[:, None], h[None], c[None]


def _reshape(x: Any, shape: list[int]) -> Any:
    return x.reshape([x.shape[k] if size == 0 else size for k, size in enumerate(shape)])


def _slice(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    places = [slice(None)] * x.ndim
    axes, steps = axes or range(len(starts)), steps or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places[axis] = slice(start, end, step)
    return x[tuple(places)]


def _mean(x: Any, axes: Any = None, *, keepdims: int = 1, **options: Any) -> Any:
    return x.mean(tuple(axes or options["axes"]), keepdims=bool(keepdims))


TABLE: Table = {
    "Abs": jnp.abs,
    "Add": jnp.add,
    "AveragePool": _average,
    "BatchNormalization": _batch_norm,
    "Cast": lambda x, *, to: x.astype(_TYPES[to]),
    "Clip": jnp.clip,
    "Concat": lambda *xs, axis: jnp.concatenate(xs, axis),
    "Conv": _conv,
    "Div": jnp.divide,
    "Dropout": lambda x, *_, **__: x,
    "Erf": jax.scipy.special.erf,
    "Expand": lambda x, shape: jnp.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape))),
    "Flatten": lambda x, *, axis=1: x.reshape(int(np.prod(x.shape[:axis])), -1),
    "Gather": lambda x, indices, *, axis=0: jnp.take(x, indices, axis, mode="clip"),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdims=True),
    "LRN": _response_norm,
    "LSTM": _lstm,
    "LayerNormalization": _normalize,
    "MatMul": jnp.matmul,
    "Max": jnp.maximum,
    "MaxPool": _max_pool,
    "Min": jnp.minimum,
    "Mod": jnp.mod,
    "Mul": jnp.multiply,
    "Neg": jnp.negative,
    "Pow": jnp.power,
    "ReduceMean": _mean,
    "ReduceSum": lambda x, axes, *, keepdims=1: x.sum(tuple(axes), keepdims=bool(keepdims)),
    "Relu": lambda x: jnp.maximum(x, 0),
    "Reshape": _reshape,
    "Sigmoid": jax.nn.sigmoid,
    "Slice": _slice,
    "Softmax": lambda x, *, axis=-1: jax.nn.softmax(x, axis),
    "SoftmaxOfRows": lambda x, *, axis=1: jax.nn.softmax(
        x.reshape(*x.shape[:axis], -1), -1
    ).reshape(x.shape),
    "Split": lambda x, sizes, *, axis=0: jnp.split(x, np.cumsum(sizes)[:-1], axis),
    "Sqrt": jnp.sqrt,
    "Squeeze": lambda x, axes: x.squeeze(tuple(axes)),
    "Sub": jnp.subtract,
    "Sum": lambda x, *ys: sum(ys, x),
    "Tanh": jnp.tanh,
    "Transpose": lambda x, *, perm: x.transpose(perm),
    "Unsqueeze": lambda x, axes: jnp.expand_dims(x, tuple(axes)),
    "Where": jnp.where,
}
