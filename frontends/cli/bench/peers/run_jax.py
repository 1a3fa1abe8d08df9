"""JAX: the model's nodes as jax.numpy functions, compiled by XLA for the CPU.

XLA takes its number of threads from the processors that the process may use when it starts, so
these are set, and a process serves one number of threads only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from onnx_nodes import Model, Table

VERSION: str = jax.__version__


def _conv(x: Any, w: Any, b: Any = None, *, strides: Any = (1, 1), pads: Any = (0, 0, 0, 0),
          dilations: Any = (1, 1), group: int = 1, **_: Any) -> Any:  # fmt: skip
    padding = ((pads[0], pads[2]), (pads[1], pads[3]))
    y = lax.conv_general_dilated(
        x, w, tuple(strides), padding, rhs_dilation=tuple(dilations), feature_group_count=group,
        dimension_numbers=("NCHW", "OIHW", "NCHW"), precision=lax.Precision.HIGHEST,
    )  # fmt: skip
    return y if b is None else y + b[:, None, None]


def _window(x: Any, start: float, fold: Any, kernel_shape: Any, strides: Any, pads: Any) -> Any:
    padding = ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3]))
    size, steps = (1, 1, *kernel_shape), (1, 1, *strides)
    return lax.reduce_window(x, np.float32(start), fold, size, steps, padding)


def _normalize(x: Any, s: Any, b: Any, *, epsilon: float = 1e-5, **_: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(x.var(-1, keepdims=True) + epsilon) * s + b


def _batch_norm(x: Any, s: Any, b: Any, m: Any, v: Any, *, epsilon: float = 1e-5, **_: Any) -> Any:
    scale = s * lax.rsqrt(v + epsilon)
    return x * scale[:, None, None] + (b - m * scale)[:, None, None]


_TABLE: Table = {
    "Abs": jnp.abs,
    "Add": jnp.add,
    "AveragePool": lambda x, *, kernel_shape, strides, pads, **_: (
        _window(x, 0, lax.add, kernel_shape, strides, pads) / np.prod(kernel_shape)
    ),
    "BatchNormalization": _batch_norm,
    "Clip": jnp.clip,
    "Concat": lambda *xs, axis: jnp.concatenate(xs, axis),
    "Conv": _conv,
    "Flatten": lambda x, **_: x.reshape(x.shape[0], -1),
    "Gemm": lambda x, w, b, **options: x @ (w.T if options.get("transB") else w) + b,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdims=True),
    "LayerNormalization": _normalize,
    "MatMul": jnp.matmul,
    "Max": jnp.maximum,
    "MaxPool": lambda x, *, kernel_shape, strides, pads, **_: _window(
        x, -np.inf, lax.max, kernel_shape, strides, pads
    ),
    "Min": jnp.minimum,
    "Mul": jnp.multiply,
    "Neg": jnp.negative,
    "ReduceSum": lambda x, axes, *, keepdims=1: x.sum(0, keepdims=bool(keepdims)),
    "Relu": lambda x: jnp.maximum(x, 0),
    "Softmax": lambda x, *, axis=-1: jax.nn.softmax(x, axis),
    "Sub": jnp.subtract,
}


def prepare(
    model: str, inputs: Mapping[str, Any], threads: int
) -> tuple[Callable[[], object], Callable[[], list[Any]]]:
    """See worker.py."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    loaded = Model(model)
    weights = loaded.weights
    arrays = [jax.device_put(inputs[name]) for name in loaded.inputs]
    step = jax.jit(lambda *given: loaded.run(_TABLE, weights, given))
    found: list[Any] = []

    def call() -> None:
        found[:] = jax.block_until_ready(step(*arrays))

    return call, lambda: [np.asarray(array) for array in found]
