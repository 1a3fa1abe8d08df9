"""A stack of dilated causal 1-D convolutions (van den Oord et al., WaveNet, 2016)."""

from __future__ import annotations

from onnx import ModelProto

from tensorkiln.benchmarks.models.sequence_builder import SequenceBuilder

CHANNELS, SKIP, CLASSES = 64, 128, 256


def wavenet(
    batch: int = 1, seed: int = 0, samples: int = 4096, stacks: int = 2, depth: int = 10
) -> ModelProto:
    """input f32[batch, 1, samples] -> output f32[batch, 256, samples] (logits)."""
    b = SequenceBuilder("wavenet", batch, seed)
    x = _conv(b, b.input("input", (1, samples)), "front", (1, CHANNELS), 2, 1)
    skips: list[str] = []
    for layer in range(stacks * depth):
        x, skip = _layer(b, x, f"layers.{layer}", 2 ** (layer % depth))
        skips.append(skip)
    total = skips[0]
    for number, skip in enumerate(skips[1:]):
        total = b.node("Add", [total, skip], f"skips.{number}")
    y = _conv(b, b.relu(total, "post.0"), "post.1", (SKIP, SKIP), 1, 1)
    y = _conv(b, b.relu(y, "post.2"), "post.3", (SKIP, CLASSES), 1, 1)
    b.output(y, "output", (CLASSES, samples))
    return b.finished()


def _layer(b: SequenceBuilder, x: str, path: str, dilation: int) -> tuple[str, str]:
    """tanh of half the channels times the logistic function of the other half."""
    y = _conv(b, x, f"{path}/dilated", (CHANNELS, 2 * CHANNELS), 2, dilation)
    b.node("Split", [y, b.integers("halves", CHANNELS, CHANNELS)], path, axis=1)
    b.nodes[-1].output[:] = [f"{path}.filter", f"{path}.gate"]
    left = b.node("Tanh", [f"{path}.filter"], path)
    right = b.node("Sigmoid", [f"{path}.gate"], path)
    gated = b.node("Mul", [left, right], path)
    skip = _conv(b, gated, f"{path}/skip", (CHANNELS, SKIP), 1, 1)
    kept = _conv(b, gated, f"{path}/residual", (CHANNELS, CHANNELS), 1, 1)
    return b.node("Add", [kept, x], path), skip


def _conv(
    b: SequenceBuilder, x: str, path: str, channels: tuple[int, int], kernel: int, dilation: int
) -> str:
    """A causal 1-D convolution with bias."""
    module = path.replace("/", ".")
    weight = b.normal(
        f"{module}.weight", (channels[1], channels[0], kernel), 2 * kernel * channels[0]
    )
    bias = b.uniform(f"{module}.bias", channels[1], -0.1, 0.1)
    return b.node(
        "Conv", [x, weight, bias], path, kernel_shape=[kernel], strides=[1],
        pads=[dilation * (kernel - 1), 0], dilations=[dilation], group=1,
    )  # fmt: skip
