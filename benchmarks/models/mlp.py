"""A multilayer perceptron for flat inputs (784 - 512 - 256 - 10 unless told otherwise)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from onnx import ModelProto

from tensorkiln.benchmarks.models.builder import ModelBuilder


def mlp(
    batch: int | str = 1, seed: int = 0, sizes: Sequence[int] = (784, 512, 256, 10)
) -> ModelProto:
    """input f32[batch, sizes[0]] -> output f32[batch, sizes[-1]] (logits)."""
    b = ModelBuilder("mlp", batch, (sizes[0],), seed)
    x = "input"
    for k, (inner, outer) in enumerate(itertools.pairwise(sizes)):
        if k:
            x = b.relu(x, f"act{k - 1}")
        x = b.linear(x, f"fc{k}", inner, outer)
    return b.finish(x, sizes[-1])
