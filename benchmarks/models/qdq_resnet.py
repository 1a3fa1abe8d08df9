"""ResNet-50 quantized to bytes, as tools for quantization after training write it (QDQ form).

Batch norms are folded into the convolutions.  Weights are i8 with a scale for each output channel,
activations u8 with one scale, biases i32 in steps of the product of both scales; every tensor
between two layers passes a QuantizeLinear and a DequantizeLinear.  He et al., Deep residual learning,
2015; Wu et al., Integer quantization for deep learning inference, 2020.

Scales come from the variances that random weights lead to, instead of a calibration with images: a
step is such that four and a half standard deviations fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from tensorkiln.benchmarks.models.builder import ModelBuilder

_DEVIATIONS = 4.5
_MIDDLE = 128  # the zero point of what may be negative
_WEIGHT_STEPS = 127


@dataclass(frozen=True)
class _Activation:
    """A dequantized tensor: its name, its step, and the mean of its squares."""

    name: str
    step: np.float32
    square: float


class _QuantizedBuilder(ModelBuilder):
    def quantized(self, x: str, path: str, square: float, signed: bool) -> _Activation:
        """`x` through bytes; it is expected to have the given mean of squares."""
        span = _DEVIATIONS * math.sqrt(square) * (2 if signed else 1)
        return self.requantized(x, path, np.float32(span / 255), square, signed)

    def requantized(
        self, x: str, path: str, step: np.float32, square: float, signed: bool
    ) -> _Activation:
        """`x` through bytes with a given step."""
        scale = self.weight(f"{path}.scale", np.array(step))
        zero = self.weight(f"{path}.zero_point", np.array(_MIDDLE if signed else 0, np.uint8))
        codes = self.node("QuantizeLinear", [x, scale, zero], path)
        return _Activation(self.node("DequantizeLinear", [codes, scale, zero], path), step, square)

    def parameters(
        self, x: _Activation, path: str, shape: tuple[int, ...], target: float
    ) -> tuple[str, str]:
        """Weights and a bias in bytes that make sums with a mean of squares near `target`."""
        fan_in = math.prod(shape[1:])
        spread = np.float32(math.sqrt(target / (fan_in * x.square)))
        drawn = self.generator.standard_normal(shape, np.float32) * spread
        rows = np.abs(drawn.reshape(shape[0], -1)).max(1)
        steps = (rows / _WEIGHT_STEPS).astype(np.float32)
        codes = np.rint(drawn / steps.reshape(-1, *(1,) * (len(shape) - 1))).astype(np.int8)
        scale = self.weight(f"{path}.weight_scale", steps)
        zero = self.weight(f"{path}.weight_zero_point", np.zeros(shape[0], np.int8))
        names = [self.weight(f"{path}.weight_quantized", codes), scale, zero]
        weight = self.node("DequantizeLinear", names, f"{path}/weight", axis=0)
        bias = self.generator.uniform(-0.1, 0.1, shape[0])
        both = (steps * x.step).astype(np.float32)
        names = [
            self.weight(f"{path}.bias_quantized", np.rint(bias / both).astype(np.int32)),
            self.weight(f"{path}.bias_scale", both),
            self.weight(f"{path}.bias_zero_point", np.zeros(shape[0], np.int32)),
        ]
        return weight, self.node("DequantizeLinear", names, f"{path}/bias", axis=0)

    def convolved(
        self, x: _Activation, path: str, channels: tuple[int, int], kernel: int,
        stride: int = 1, rectified: bool = True, target: float = 1.0,
    ) -> _Activation:  # fmt: skip
        """A convolution, perhaps a rectifier, and the way through bytes."""
        inner, outer = channels
        weight, bias = self.parameters(x, path, (outer, inner, kernel, kernel), target)
        y = self.node(
            "Conv", [x.name, weight, bias], path, kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[kernel // 2] * 4, dilations=[1, 1], group=1,
        )  # fmt: skip
        if rectified:  # half of the squares are left
            return self.quantized(self.relu(y, f"{path}/relu"), path, target / 2, signed=False)
        return self.quantized(y, path, target, signed=True)


def qdq_resnet50(
    batch: int | str = 1, seed: int = 0, size: int = 224, width: int = 64,
    blocks: tuple[int, ...] = (3, 4, 6, 3), classes: int = 1000,
) -> ModelProto:  # fmt: skip
    """input f32[batch, 3, size, size] -> output f32[batch, classes] (logits).

    `width` is the number of channels of the first stage, `blocks` the number of blocks of each.
    """
    b = _QuantizedBuilder("qdq_resnet50", batch, (3, size, size), seed)
    x = b.convolved(b.quantized("input", "input", 1.0, signed=True), "conv1", (3, width), 7, 2)
    pooled = b.max_pool(x.name, "maxpool", 3, 2, 1)
    x = b.requantized(pooled, "maxpool", x.step, x.square, signed=False)
    inner = width
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            path = f"layer{stage + 1}/layer{stage + 1}.{block}"
            x = _bottleneck(b, x, path, inner, width << stage, stride)
            inner = 4 * width << stage
    mean = b.node("GlobalAveragePool", [x.name], "avgpool")
    x = b.requantized(mean, "avgpool", x.step, x.square, signed=False)
    flat = b.flatten(x.name)
    weight, bias = b.parameters(x, "fc", (classes, inner), 1.0)
    logits = b.node("Gemm", [flat, weight, bias], "fc", alpha=1.0, beta=1.0, transB=1)
    return b.finish(b.quantized(logits, "fc", 1.0, signed=True).name, classes)


def _bottleneck(
    b: _QuantizedBuilder, x: _Activation, path: str, inner: int, width: int, stride: int
) -> _Activation:
    outer = 4 * width
    y = b.convolved(x, f"{path}/conv1", (inner, width), 1)
    y = b.convolved(y, f"{path}/conv2", (width, width), 3, stride)
    # A small residual, so that squares grow slowly from block to block.
    y = b.convolved(y, f"{path}/conv3", (width, outer), 1, rectified=False, target=0.25)
    if inner != outer:
        x = b.convolved(
            x, f"{path}/downsample", (inner, outer), 1, stride, rectified=False, target=1.0
        )
    total = b.relu(b.node("Add", [y.name, x.name], path), f"{path}/relu")
    return b.quantized(total, f"{path}/sum", x.square + y.square, signed=False)
