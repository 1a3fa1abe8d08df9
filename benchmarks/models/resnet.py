"""ResNet-50 (He et al., Deep residual learning, 2015; stride in the 3x3, as torchvision does)."""

from __future__ import annotations

from onnx import ModelProto

from tensorkiln.benchmarks.models.builder import ModelBuilder


def resnet50(batch: int | str = 1, seed: int = 0, size: int = 224) -> ModelProto:
    """input f32[batch, 3, size, size] -> output f32[batch, 1000] (logits)."""
    b = ModelBuilder("resnet50", batch, (3, size, size), seed)
    x = b.batch_norm(b.conv("input", "conv1", (3, 64), 7, 2, 3), "bn1", 64)
    x = b.max_pool(b.relu(x, "relu"), "maxpool", 3, 2, 1)
    inner = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _bottleneck(b, x, f"layer{stage}/layer{stage}.{block}", inner, width, stride)
            inner = 4 * width
    return b.finish(b.linear(b.pooled_features(x), "fc", 2048, 1000), 1000)


def _bottleneck(b: ModelBuilder, x: str, path: str, inner: int, width: int, stride: int) -> str:
    outer = 4 * width
    y = b.batch_norm(b.conv(x, f"{path}/conv1", (inner, width), 1), f"{path}/bn1", width)
    y = b.relu(y, f"{path}/relu")
    y = b.conv(y, f"{path}/conv2", (width, width), 3, stride, 1)
    y = b.relu(b.batch_norm(y, f"{path}/bn2", width), f"{path}/relu_1")
    y = b.batch_norm(b.conv(y, f"{path}/conv3", (width, outer), 1), f"{path}/bn3", outer)
    if inner != outer:
        x = b.conv(x, f"{path}/downsample/downsample.0", (inner, outer), 1, stride)
        x = b.batch_norm(x, f"{path}/downsample/downsample.1", outer)
    return b.relu(b.node("Add", [y, x], path), f"{path}/relu_2")
