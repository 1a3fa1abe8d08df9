"""Samples of the composites, of constant and of random bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from ops.samples import Numbers, Sample, draw

from tensorkiln.compiler.ir.dtypes import F32, F64, I32
from tensorkiln.compiler.ir.function import Attribute
from tensorkiln.compiler.ops.rules import FLOATS

PHILOX = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85


def _softmax(x: Any, axis: int) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def _softmaxes() -> list[Sample]:
    samples = []
    for dtype in FLOATS:
        for axis in (0, 1, 2):
            x = draw((2, 5, 3), dtype)
            samples += [
                Sample("softmax", (x,), lambda x, a=axis: _softmax(x, a), {"axis": axis}),
                Sample(
                    "log_softmax", (x,), lambda x, a=axis: np.log(_softmax(x, a)), {"axis": axis}
                ),
            ]
    large = np.array([[1000.0, 1000.0], [-1000.0, 0.0]], np.float32)
    return [
        *samples,
        Sample("softmax", (large,), lambda x: np.array([[0.5, 0.5], [0, 1]]), {"axis": 1}, label="large"),
        Sample(
            "log_softmax", (large,), lambda x: np.array([[-np.log(2)] * 2, [-1000, 0]]),
            {"axis": 1}, label="large",
        ),
    ]  # fmt: skip


def _layer_norms() -> list[Sample]:
    def expected(x: Any, scale: Any, bias: Any, axes: tuple[int, ...], epsilon: float) -> Any:
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        return (x - mean) / np.sqrt(variance + epsilon) * scale + bias

    samples = []
    for dtype in FLOATS:
        for axis in (0, 1, 2):
            x = draw((3, 4, 5), dtype, 1, 3)
            scale, bias = (draw(x.shape[axis:], dtype, 0.5, 2, seed) for seed in (1, 2))
            axes, epsilon = tuple(range(axis, 3)), 1e-3
            samples.append(
                Sample(
                    "layer_norm", (x, scale, bias),
                    lambda x, s, b, a=axes, e=epsilon: expected(x, s, b, a, e),
                    {"axis": axis, "epsilon": epsilon}, slack=8,
                )
            )  # fmt: skip
    return samples


def _batch_norms() -> list[Sample]:
    epsilon = 1e-3

    def spread(part: Any, axis: int) -> Any:
        return part.reshape([-1 if k == axis else 1 for k in range(4)])

    def inference(x: Any, s: Any, o: Any, mean: Any, variance: Any, axis: int) -> Any:
        s, o, mean, variance = (spread(part, axis) for part in (s, o, mean, variance))
        return (x - mean) / np.sqrt(variance + epsilon) * s + o

    def training(x: Any, s: Any, o: Any, axis: int) -> Any:
        axes = tuple(k for k in range(4) if k != axis)
        mean, variance = x.mean(axes), x.var(axes)
        return inference(x, s, o, mean, variance, axis), mean, variance

    def gradients(x: Any, s: Any, mean: Any, variance: Any, g: Any, axis: int) -> Any:
        axes = tuple(k for k in range(4) if k != axis)
        deviation = np.sqrt(variance + epsilon)
        number = x.size / x.shape[axis]
        unit = (x - spread(mean, axis)) / spread(deviation, axis)
        g_scale, g_offset = (g * unit).sum(axes), g.sum(axes)
        inner = number * g - spread(g_offset, axis) - unit * spread(g_scale, axis)
        return inner * spread(s / deviation / number, axis), g_scale, g_offset

    samples = []
    for dtype in FLOATS:
        for axis in (1, 3):
            g = draw((2, 3, 4, 3), dtype, -1, 1, 9)
            x = draw((2, 3, 4, 3), dtype, -1, 3)
            s, o, mean, variance = (draw((3,), dtype, 0.5, 2, seed) for seed in range(4))
            attributes: dict[str, Attribute] = {"epsilon": epsilon, "feature_index": axis}
            samples += [
                Sample(
                    "batch_norm_inference", (x, s, o, mean, variance),
                    lambda x, s, o, m, v, a=axis: inference(x, s, o, m, v, a), attributes, slack=8,
                ),
                Sample(
                    "batch_norm_training", (x, s, o),
                    lambda x, s, o, a=axis: training(x, s, o, a), attributes, slack=8,
                ),
                Sample(
                    "batch_norm_grad", (x, s, mean, variance, g),
                    lambda x, s, m, v, g, a=axis: gradients(x, s, m, v, g, a), attributes, slack=32,
                ),
            ]  # fmt: skip
    return samples


def _philox(key: int, counter: int) -> list[int]:
    """One block by the paper's definition, in Python's integers."""
    mask = 0xFFFFFFFF
    k0, k1 = key & mask, key >> 32
    words = [counter >> (32 * k) & mask for k in range(4)]
    for _ in range(10):
        first, second = PHILOX[0] * words[0], PHILOX[1] * words[2]
        words = [
            second >> 32 ^ words[1] ^ k0, second & mask, first >> 32 ^ words[3] ^ k1, first & mask
        ]  # fmt: skip
        k0, k1 = k0 + PHILOX[2] & mask, k1 + PHILOX[3] & mask
    return words


def _rng(shape: tuple[int, ...], row_blocks: int, low: int, label: str) -> Sample:
    key, high = (0x1234 << 40) + 87654321, (7 << 35) + 5

    def expected(state: Numbers) -> tuple[Numbers, Numbers]:
        rows = shape[0] if row_blocks else 1
        size = int(np.prod(shape)) // rows
        stride = row_blocks or -(-size // 4)
        words = []
        for row in range(rows):
            counter = (high << 64) + low + row * stride
            blocks = [_philox(key, (counter + k) % (1 << 128)) for k in range(-(-size // 4))]
            words += [word for block in blocks for word in block][:size]
        end = (high << 64) + low + rows * stride
        state = np.array([key, end % (1 << 64), (end >> 64) % (1 << 64)], np.uint64)
        return state, np.array(words, np.uint32).reshape(shape)

    state = np.array([key, low, high], np.uint64)
    attributes: dict[str, Attribute] = {"shape": shape, "row_blocks": row_blocks}
    return Sample("rng_bit_generator", (state,), expected, attributes, label=label, raw=True)


def _constant(array: Numbers) -> Sample:
    return Sample("constant", (), lambda: array, {"value": array}, raw=True, exact=True)


SAMPLES = (
    *_softmaxes(),
    *_layer_norms(),
    *_batch_norms(),
    _rng((8,), 0, 0, "whole"),
    _rng((3, 5), 0, 17, "rest"),
    _rng((), 0, 0, "scalar"),
    _rng((9,), 0, (1 << 64) - 1, "carry"),
    _rng((3, 6), 256, (1 << 64) - 300, "rows"),
    _constant(draw((2, 3), F32)),
    _constant(draw((), F64)),
    _constant(draw((0,), I32)),
)
