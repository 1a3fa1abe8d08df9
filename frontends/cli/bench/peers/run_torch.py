"""PyTorch: the model's nodes as torch functions, compiled by torch.compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from onnx_nodes import Model, Table

VERSION: str = torch.__version__


def _conv(x: Any, w: Any, b: Any = None, *, strides: Any = (1, 1), pads: Any = (0, 0, 0, 0),
          dilations: Any = (1, 1), group: int = 1, **_: Any) -> Any:  # fmt: skip
    padded = (
        x if list(pads[:2]) == list(pads[2:]) else F.pad(x, (pads[1], pads[3], pads[0], pads[2]))
    )
    padding = list(pads[:2]) if padded is x else [0, 0]
    return F.conv2d(padded, w, b, list(strides), padding, list(dilations), group)


def _gemm(x: Any, w: Any, b: Any, *, transB: int = 0, **_: Any) -> Any:
    return torch.addmm(b, x, w.t() if transB else w)


def _average(x: Any, *, kernel_shape: Any, strides: Any, pads: Any, count_include_pad: int = 0,
             **_: Any) -> Any:  # fmt: skip
    return F.avg_pool2d(
        x, kernel_shape, strides, pads[:2], count_include_pad=bool(count_include_pad)
    )


_TABLE: Table = {
    "Abs": torch.abs,
    "Add": torch.add,
    "AveragePool": _average,
    "BatchNormalization": lambda x, s, b, m, v, *, epsilon=1e-5, **_: F.batch_norm(
        x, m, v, s, b, eps=epsilon
    ),
    "Clip": torch.clamp,
    "Concat": lambda *xs, axis: torch.cat(xs, axis),
    "Conv": _conv,
    "Flatten": lambda x, *, axis=1: torch.flatten(x, axis),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "LayerNormalization": lambda x, s, b, *, axis=-1, epsilon=1e-5: F.layer_norm(
        x, x.shape[axis:], s, b, epsilon
    ),
    "MatMul": torch.matmul,
    "Max": torch.maximum,
    "MaxPool": lambda x, *, kernel_shape, strides, pads, **_: F.max_pool2d(
        x, kernel_shape, strides, pads[:2]
    ),
    "Min": torch.minimum,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "ReduceSum": lambda x, axes, *, keepdims=1: x.sum(0, keepdim=bool(keepdims)),
    "Relu": torch.relu,
    "Softmax": lambda x, *, axis=-1: torch.softmax(x, axis),
    "Sub": torch.sub,
}


def prepare(
    model: str, inputs: Mapping[str, Any], threads: int
) -> tuple[Callable[[], object], Callable[[], list[Any]]]:
    """See worker.py."""
    torch.set_num_threads(threads)
    loaded = Model(model)
    weights = {name: torch.from_numpy(array.copy()) for name, array in loaded.weights.items()}
    arrays = [torch.from_numpy(inputs[name]) for name in loaded.inputs]
    step = torch.compile(lambda *given: loaded.run(_TABLE, weights, given))
    found: list[Any] = []

    def call() -> None:
        with torch.inference_mode():
            found[:] = step(*arrays)

    return call, lambda: [tensor.numpy() for tensor in found]
