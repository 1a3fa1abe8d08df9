"""The networks of networks.py in JAX: the loss of a batch, of parameters in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

HEADS = 4


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits), axis=-1))


def _dense(x: Any, p: Iterator[Any]) -> Any:
    return x @ next(p) + next(p)


def softmax_regression(parameters: Any, x: Any, labels: Any, key: Any) -> Any:
    """784 inputs, 10 classes."""
    return _cross_entropy(_dense(x, iter(parameters)), labels)


def mlp(parameters: Any, x: Any, labels: Any, key: Any) -> Any:
    """784-512-512-10."""
    p = iter(parameters)
    hidden = jax.nn.relu(_dense(x, p))
    hidden = jax.nn.relu(_dense(hidden, p))
    return _cross_entropy(_dense(hidden, p), labels)


def cnn(parameters: Any, x: Any, labels: Any, key: Any) -> Any:
    """Two convolutions with pooling, a dense layer with dropout."""
    p = iter(parameters)
    hidden = _pooled(_pooled(x.reshape(-1, 28, 28, 1), p), p)
    dense = jax.nn.relu(_dense(hidden.reshape(hidden.shape[0], -1), p))
    kept = jax.random.bernoulli(key, 0.5, dense.shape)
    return _cross_entropy(_dense(jnp.where(kept, dense * 2.0, 0.0), p), labels)


def _pooled(x: Any, p: Iterator[Any]) -> Any:
    letters = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, next(p), (1, 1), "SAME", dimension_numbers=letters)
    y = jax.nn.relu(y + next(p))
    return lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")


def lstm(parameters: Any, x: Any, labels: Any, key: Any) -> Any:
    """An LSTM over rows, the inputs' part of all steps as one product."""
    p = iter(parameters)
    kernel, bias = next(p), next(p)
    size = x.shape[2]
    given = jnp.swapaxes(x @ kernel[:size] + bias, 0, 1)
    recurrent = kernel[size:]

    def step(carried: Any, gates: Any) -> Any:
        state, output = carried
        entry, new, forget, leave = jnp.split(gates + output @ recurrent, 4, axis=1)
        state = state * jax.nn.sigmoid(forget + 1.0) + jax.nn.sigmoid(entry) * jnp.tanh(new)
        return (state, jnp.tanh(state) * jax.nn.sigmoid(leave)), None

    zeros = jnp.zeros((x.shape[0], recurrent.shape[0]), x.dtype)
    (_, output), _ = lax.scan(step, (zeros, zeros), given)
    return _cross_entropy(_dense(output, p), labels)


def transformer(parameters: Any, x: Any, labels: Any, key: Any) -> Any:
    """Encoder layers with norms first."""
    p = iter(parameters)
    layers = (len(parameters) - 7) // 16
    hidden = _dense(x, p) + next(p)
    for _ in range(layers):
        hidden = hidden + _attention(_normed(hidden, p), p)
        wide = jax.nn.gelu(_dense(_normed(hidden, p), p), approximate=False)
        hidden = hidden + _dense(wide, p)
    return _cross_entropy(_dense(_normed(hidden, p).mean(1), p), labels)


def _attention(x: Any, p: Iterator[Any]) -> Any:
    batch, tokens, width = x.shape
    q, k, v = (_dense(x, p).reshape(batch, tokens, HEADS, -1) for _ in range(3))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * (width // HEADS) ** -0.5
    seen = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
    return _dense(seen.reshape(batch, tokens, width), p)


def _normed(x: Any, p: Iterator[Any]) -> Any:
    scale, offset = next(p), next(p)
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * scale + offset


LOSSES = {
    "softmax_regression_b100": softmax_regression,
    "mlp_b128": mlp,
    "cnn_b128": cnn,
    "lstm_b128": lstm,
    "transformer_b8": transformer,
}
