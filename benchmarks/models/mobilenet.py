"""MobileNetV2 (Sandler et al., Inverted residuals and linear bottlenecks, 2018)."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from tensorkiln.benchmarks.models.builder import ModelBuilder

# expansion, output channels, blocks, stride of the first: table 2 of the paper
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


def mobilenet_v2(batch: int | str = 1, seed: int = 0, size: int = 224) -> ModelProto:
    """input f32[batch, 3, size, size] -> output f32[batch, 1000] (logits)."""
    b = ModelBuilder("mobilenet_v2", batch, (3, size, size), seed)
    b.weight("relu6.min", np.array(0, np.float32))
    b.weight("relu6.max", np.array(6, np.float32))
    x = _conv_bn(b, "input", "features/features.0", (3, 32), 3, 2)
    inner, index = 32, 1
    for expansion, outer, blocks, stride in _STAGES:
        for block in range(blocks):
            path = f"features/features.{index}/conv"
            x = _block(b, x, path, (inner, outer), expansion, stride if block == 0 else 1)
            inner, index = outer, index + 1
    x = _conv_bn(b, x, f"features/features.{index}", (inner, 1280), 1, 1)
    return b.finish(b.linear(b.pooled_features(x), "classifier/classifier.1", 1280, 1000), 1000)


def _conv_bn(
    b: ModelBuilder, x: str, path: str, channels: tuple[int, int], kernel: int, stride: int,
    groups: int = 1,
) -> str:  # fmt: skip
    x = b.conv(
        x,
        f"{path}/{path.rsplit('/', maxsplit=1)[-1]}.0",
        channels,
        kernel,
        stride,
        kernel // 2,
        groups,
    )
    x = b.batch_norm(x, f"{path}/{path.rsplit('/', maxsplit=1)[-1]}.1", channels[1])
    return b.node(
        "Clip", [x, "relu6.min", "relu6.max"], f"{path}/{path.rsplit('/', maxsplit=1)[-1]}.2"
    )


def _block(
    b: ModelBuilder, x: str, path: str, channels: tuple[int, int], expansion: int, stride: int
) -> str:
    inner, outer = channels
    wide = inner * expansion
    y = x
    if expansion != 1:
        y = _conv_bn(b, y, f"{path}/conv.0", (inner, wide), 1, 1)
    y = _conv_bn(b, y, f"{path}/conv.1", (wide, wide), 3, stride, wide)
    y = b.batch_norm(b.conv(y, f"{path}/conv.2", (wide, outer), 1), f"{path}/conv.3", outer)
    return b.node("Add", [x, y], path) if stride == 1 and inner == outer else y
