"""ONNX nodes as torch functions, and a model made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from onnx_nodes import Model, Table

_TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}


def of_numpy(array: Any) -> torch.Tensor:
    """A tensor that shares the array's memory."""
    return torch.from_numpy(array)


class Network(torch.nn.Module):  # type: ignore[misc]
    """An ONNX model; its weights are parameters (buffers where they are no floats)."""

    def __init__(self, path: str) -> None:
        super().__init__()
        model = Model(path)
        model.check(_TABLE)
        self._model = model
        self.input_names = model.inputs
        weights = _gates_in_order(model)
        self._names = {name: f"weight{number}" for number, name in enumerate(weights)}
        for name, array in weights.items():
            tensor = torch.from_numpy(np.array(array))
            if tensor.is_floating_point():
                self.register_parameter(self._names[name], torch.nn.Parameter(tensor, False))
            else:
                self.register_buffer(self._names[name], tensor)

    def forward(self, *arrays: Any) -> list[Any]:
        """The model's outputs."""
        weights = {name: getattr(self, attribute) for name, attribute in self._names.items()}
        outputs: list[Any] = self._model.run(_TABLE, weights, arrays)
        return outputs


def _gates_in_order(model: Model) -> Mapping[str, Any]:
    """The weights, those of LSTMs with gates in torch's order (i f g o) instead of ONNX's (i o f
    g)."""
    weights = dict(model.weights)
    for node in model.nodes:
        if node.kind == "LSTM":
            for given in node.inputs[1:4]:
                array = weights[given.text]
                parts = np.split(array, 8 if array.ndim == 2 else 4, axis=1)
                order = [0, 2, 3, 1, 4, 6, 7, 5] if array.ndim == 2 else [0, 2, 3, 1]
                weights[given.text] = np.concatenate([parts[k] for k in order], axis=1)
    return weights


def _lstm(x: Any, w: Any, r: Any, b: Any, *rest: Any, hidden_size: int, **options: Any) -> Any:
    if rest or options:
        raise NotImplementedError("LSTM with lengths, states, peepholes or options")
    state = x.new_zeros(1, x.shape[1], hidden_size)
    bias = b.reshape(2, -1)
    given = [w[0], r[0], bias[0], bias[1]]
    y, h, c = torch.lstm(x, [state, state], given, True, 1, 0.0, False, False, False)
    return y[:, None], h, c


def _padded(x: Any, pads: Sequence[int], value: float) -> tuple[Any, list[int]]:
    """Padding that torch takes as one number a dim; other padding is done here."""
    half = len(pads) // 2
    low, high = list(pads[:half]), list(pads[half:])
    if low == high:
        return x, low
    both = [p for pair in zip(reversed(low), reversed(high), strict=True) for p in pair]
    return F.pad(x, both, value=value), [0] * half


def _conv(x: Any, w: Any, b: Any = None, *, strides: Any = (), pads: Any = (), dilations: Any = (),
          group: int = 1, **_: Any) -> Any:  # fmt: skip
    rank = x.ndim - 2
    x, padding = _padded(x, pads or (0,) * (2 * rank), 0.0)
    function = F.conv1d if rank == 1 else F.conv2d
    ones = [1] * rank
    return function(x, w, b, list(strides) or ones, padding, list(dilations) or ones, group)


def _gemm(x: Any, w: Any, b: Any = None, *, transB: int = 0, **_: Any) -> Any:
    w = w.t() if transB else w
    return x @ w if b is None else torch.addmm(b, x, w)


def _average(x: Any, *, kernel_shape: Any, strides: Any, pads: Any = (0, 0, 0, 0),
             count_include_pad: int = 0, ceil_mode: int = 0, **_: Any) -> Any:  # fmt: skip
    padded, padding = _padded(x, pads, 0.0)
    whole = bool(count_include_pad)
    y = F.avg_pool2d(padded, kernel_shape, strides, padding, bool(ceil_mode), whole)
    if padded is x or whole:
        return y
    counted, none = _padded(torch.ones_like(x[:1, :1]), pads, 0.0)
    return y / F.avg_pool2d(counted, kernel_shape, strides, none, bool(ceil_mode))


def _max_pool(x: Any, *, kernel_shape: Any, strides: Any, pads: Any = (0, 0, 0, 0),
              ceil_mode: int = 0, **_: Any) -> Any:  # fmt: skip
    x, padding = _padded(x, pads, -np.inf)
    return F.max_pool2d(x, kernel_shape, strides, padding, ceil_mode=bool(ceil_mode))


def _reshape(x: Any, shape: list[int]) -> Any:
    return x.reshape([x.shape[k] if size == 0 else size for k, size in enumerate(shape)])


def _expand(x: Any, shape: list[int]) -> Any:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape)))


def _slice(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    places = [slice(None)] * x.ndim
    axes, steps = axes or range(len(starts)), steps or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places[axis] = slice(start, end, step)
    return x[tuple(places)]


def _gather(x: Any, indices: Any, *, axis: int = 0) -> Any:
    axis %= x.ndim
    found = torch.index_select(x, axis, indices.reshape(-1))
    return found.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _mean(x: Any, axes: Any = None, *, keepdims: int = 1, **options: Any) -> Any:
    return x.mean(axes or options["axes"], keepdim=bool(keepdims))


def _softmax(x: Any, *, axis: int = -1) -> Any:
    return torch.softmax(x, axis)


def _unsqueeze(x: Any, axes: list[int]) -> Any:
    for axis in sorted(axes):
        x = x.unsqueeze(axis)
    return x


_TABLE: Table = {
    "Abs": torch.abs,
    "Add": torch.add,
    "AveragePool": _average,
    "BatchNormalization": lambda x, s, b, m, v, *, epsilon=1e-5, **_: F.batch_norm(
        x, m, v, s, b, eps=epsilon
    ),
    "Cast": lambda x, *, to: x.to(_TYPES[to]),
    "Clip": lambda x, low=None, high=None: torch.clamp(x, low, high),
    "Concat": lambda *xs, axis: torch.cat(xs, axis),
    "Conv": _conv,
    "Div": torch.div,
    "Dropout": lambda x, *_, **__: x,
    "Erf": torch.erf,
    "Expand": _expand,
    "Flatten": lambda x, *, axis=1: torch.flatten(x, axis),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "LRN": lambda x, *, size, alpha=1e-4, beta=0.75, bias=1.0: F.local_response_norm(
        x, size, alpha, beta, bias
    ),
    "LSTM": _lstm,
    "LayerNormalization": lambda x, s, b, *, axis=-1, epsilon=1e-5: F.layer_norm(
        x, x.shape[axis:], s, b, epsilon
    ),
    "MatMul": torch.matmul,
    "Max": torch.maximum,
    "MaxPool": _max_pool,
    "Min": torch.minimum,
    "Mod": torch.remainder,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Pow": torch.pow,
    "ReduceMean": _mean,
    "ReduceSum": lambda x, axes, *, keepdims=1: x.sum(axes, keepdim=bool(keepdims)),
    "Relu": torch.relu,
    "Reshape": _reshape,
    "Sigmoid": torch.sigmoid,
    "Slice": _slice,
    "Softmax": _softmax,
    "SoftmaxOfRows": lambda x, *, axis=1: torch.softmax(x.flatten(axis), -1).reshape(x.shape),
    "Split": lambda x, sizes, *, axis=0: torch.split(x, sizes, axis),
    "Sqrt": torch.sqrt,
    "Squeeze": lambda x, axes: x.squeeze(axes),
    "Sub": torch.sub,
    "Sum": lambda x, *ys: x if not ys else sum(ys, x),
    "Tanh": torch.tanh,
    "Transpose": lambda x, *, perm: x.permute(perm),
    "Unsqueeze": _unsqueeze,
    "Where": torch.where,
}
