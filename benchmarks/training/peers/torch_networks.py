"""The networks of networks.py in torch: the loss of a batch, and parameters as torch likes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

HEADS = 4


def _dense(x: Any, p: Iterator[Any]) -> Any:
    return F.linear(x, next(p), next(p))


def softmax_regression(p: Iterator[Any], x: Any, labels: Any) -> Any:
    """784 inputs, 10 classes."""
    return F.cross_entropy(_dense(x, p), labels)


def mlp(p: Iterator[Any], x: Any, labels: Any) -> Any:
    """784-512-512-10."""
    return F.cross_entropy(_dense(F.relu(_dense(F.relu(_dense(x, p)), p)), p), labels)


def cnn(p: Iterator[Any], x: Any, labels: Any) -> Any:
    """Two convolutions with pooling, a dense layer with dropout, images with channels last."""
    hidden = _pooled(_pooled(x.reshape(-1, 1, 28, 28), p), p)
    flat = hidden.permute(0, 2, 3, 1).reshape(hidden.shape[0], -1)
    dense = F.dropout(F.relu(_dense(flat, p)), 0.5)
    return F.cross_entropy(_dense(dense, p), labels)


def _pooled(x: Any, p: Iterator[Any]) -> Any:
    return F.max_pool2d(F.relu(F.conv2d(x, next(p), next(p), padding=2)), 2)


def lstm(p: Iterator[Any], x: Any, labels: Any) -> Any:
    """torch's own LSTM over rows; of its two biases one is always zero."""
    given, recurrent, bias, none = next(p), next(p), next(p), next(p)
    zeros = x.new_zeros(1, x.shape[0], recurrent.shape[1])
    weights = [given, recurrent, bias, none]
    y, _, _ = torch.lstm(x, [zeros, zeros], weights, True, 1, 0.0, True, False, True)
    return F.cross_entropy(_dense(y[:, -1], p), labels)


def transformer(p: Iterator[Any], x: Any, labels: Any) -> Any:
    """Encoder layers with norms first."""
    hidden = _dense(x, p) + next(p)
    for _ in range(4):
        hidden = hidden + _attention(_normed(hidden, p), p)
        hidden = hidden + _dense(F.gelu(_dense(_normed(hidden, p), p)), p)
    return F.cross_entropy(_dense(_normed(hidden, p).mean(1), p), labels)


def _attention(x: Any, p: Iterator[Any]) -> Any:
    batch, tokens, width = x.shape
    q, k, v = (_dense(x, p).view(batch, tokens, HEADS, -1).transpose(1, 2) for _ in range(3))
    seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    return _dense(seen.reshape(batch, tokens, width), p)


def _normed(x: Any, p: Iterator[Any]) -> Any:
    return F.layer_norm(x, x.shape[-1:], next(p), next(p), 1e-5)


LOSSES = {
    "softmax_regression_b100": softmax_regression,
    "mlp_b128": mlp,
    "cnn_b128": cnn,
    "lstm_b128": lstm,
    "transformer_b8": transformer,
}


def tensors(row: str, arrays: Sequence[Any]) -> list[Any]:
    """Parameters from the arrays of networks.py: matrices turned, kernels with channels in front
    and last in memory, and the gates of an LSTM in torch's order."""
    if row == "lstm_b128":
        return [*_lstm_tensors(*arrays[:2]), *map(_turned, arrays[2:])]
    if row == "transformer_b8":  # the third is no weight but added to every token
        return [*map(_turned, arrays[:2]), _parameter(arrays[2]), *map(_turned, arrays[3:])]
    return [_turned(array) for array in arrays]


def _turned(array: Any) -> Any:
    if array.ndim == 4:
        kernel = torch.from_numpy(array.transpose(3, 2, 0, 1).copy())
        return torch.nn.Parameter(kernel.contiguous(memory_format=torch.channels_last))
    return _parameter(array.T if array.ndim == 2 else array)


def _parameter(array: Any) -> Any:
    return torch.nn.Parameter(torch.from_numpy(np.array(array, order="C")))


def _lstm_tensors(kernel: Any, bias: Any) -> list[Any]:
    """Gates are input, new, forget, output there, and input, forget, new, output here; the
    forget gate's bias has the 1 that the network adds."""
    inputs = kernel.shape[0] - kernel.shape[1] // 4
    entry, new, forget, leave = np.split(np.concatenate([kernel, bias[None]]), 4, axis=1)
    joined = np.concatenate([entry, forget, new, leave], axis=1)
    units = len(bias) // 4
    offset = joined[-1].copy()
    offset[units : 2 * units] += 1.0
    none = torch.zeros(len(bias))
    given, recurrent = joined[:inputs].T, joined[inputs:-1].T
    return [*map(_parameter, (given, recurrent, offset)), none]
