"""A small convolution net for 28x28 grey images with wide layers: 5x5x32, 5x5x64, 1024, 10."""

from __future__ import annotations

from onnx import ModelProto

from tensorkiln.benchmarks.models.builder import ModelBuilder


def cnn(batch: int | str = 1, seed: int = 0) -> ModelProto:
    """input f32[batch, 1, 28, 28] -> output f32[batch, 10] (logits)."""
    b = ModelBuilder("cnn", batch, (1, 28, 28), seed)
    x = b.relu(b.conv("input", "conv1", (1, 32), 5, padding=2, bias=True), "relu1")
    x = b.max_pool(x, "pool1", 2, 2)
    x = b.relu(b.conv(x, "conv2", (32, 64), 5, padding=2, bias=True), "relu2")
    x = b.flatten(b.max_pool(x, "pool2", 2, 2))
    x = b.relu(b.linear(x, "fc1", 7 * 7 * 64, 1024), "relu3")
    return b.finish(b.linear(x, "fc2", 1024, 10), 10)
