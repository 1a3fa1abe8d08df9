"""LeNet-5 for 28x28 grey images (LeCun et al., Gradient-based learning, 1998), with ReLU."""

from __future__ import annotations

from onnx import ModelProto

from tensorkiln.benchmarks.models.builder import ModelBuilder


def lenet(batch: int | str = 1, seed: int = 0) -> ModelProto:
    """input f32[batch, 1, 28, 28] -> output f32[batch, 10] (logits)."""
    b = ModelBuilder("lenet", batch, (1, 28, 28), seed)
    x = b.relu(b.conv("input", "conv1", (1, 6), 5, padding=2, bias=True), "relu1")
    x = b.max_pool(x, "pool1", 2, 2)
    x = b.relu(b.conv(x, "conv2", (6, 16), 5, bias=True), "relu2")
    x = b.flatten(b.max_pool(x, "pool2", 2, 2))
    x = b.relu(b.linear(x, "fc1", 400, 120), "relu3")
    x = b.relu(b.linear(x, "fc2", 120, 84), "relu4")
    return b.finish(b.linear(x, "fc3", 84, 10), 10)
