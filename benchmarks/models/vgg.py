"""VGG-16 (Simonyan and Zisserman, Very deep convolutional networks, 2014)."""

from __future__ import annotations

from onnx import ModelProto

from tensorkiln.benchmarks.models.builder import ModelBuilder

_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)


def vgg16(batch: int | str = 1, seed: int = 0, size: int = 224, hidden: int = 4096) -> ModelProto:
    """input f32[batch, 3, size, size] -> output f32[batch, 1000] (logits); size a multiple of 32."""
    b = ModelBuilder("vgg16", batch, (3, size, size), seed)
    x, inner, index = "input", 3, 0
    for width in _WIDTHS:  # 0 is a pooling; indices are those of the layers in a list
        path = f"features/features.{index}"
        if width:
            x = b.conv(x, path, (inner, width), 3, padding=1, bias=True)
            x = b.relu(x, f"features/features.{index + 1}")
            inner, index = width, index + 2
        else:
            x, index = b.max_pool(x, path, 2, 2), index + 1
    x = b.flatten(x)
    cells = inner * (size // 32) ** 2
    x = b.relu(b.linear(x, "classifier/classifier.0", cells, hidden), "classifier/classifier.1")
    x = b.relu(b.linear(x, "classifier/classifier.3", hidden, hidden), "classifier/classifier.4")
    return b.finish(b.linear(x, "classifier/classifier.6", hidden, 1000), 1000)
