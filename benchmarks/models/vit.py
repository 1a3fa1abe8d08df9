"""ViT-B/16 (Dosovitskiy et al., An image is worth 16x16 words, 2020)."""

from __future__ import annotations

from onnx import ModelProto

from tensorkiln.benchmarks.models.sequence_builder import SequenceBuilder

WIDTH, HEADS, INNER, PATCH = 768, 12, 3072, 16


def vit_b16(batch: int = 1, seed: int = 0, size: int = 224, layers: int = 12) -> ModelProto:
    """pixel_values f32[batch, 3, size, size] -> logits f32[batch, 1000]."""
    b = SequenceBuilder("vit_b16", batch, seed)
    patches = (size // PATCH) ** 2
    tokens = patches + 1
    pixels = b.input("pixel_values", (3, size, size))
    x = b.conv(pixels, "embeddings/projection", (3, WIDTH), PATCH, PATCH, bias=True)
    x = b.node("Reshape", [x, b.integers("flat", -1, WIDTH, patches)], "embeddings")
    x = b.node("Transpose", [x], "embeddings", perm=[0, 2, 1])
    token = b.normal("embeddings.cls_token", (1, 1, WIDTH), 8)
    token = b.node("Expand", [token, b.integers("cls", batch, 1, WIDTH)], "embeddings")
    x = b.node("Concat", [token, x], "embeddings", axis=1)
    positions = b.normal("embeddings.position_embeddings", (1, tokens, WIDTH), 8)
    x = b.node("Add", [x, positions], "embeddings")
    for layer in range(layers):
        x = _layer(b, x, f"encoder/layer.{layer}", tokens)
    x = b.layer_norm(x, "layernorm", WIDTH, 1e-12)
    first = [b.integers("start", 0), b.integers("stop", 1), b.integers("axis", 1)]
    x = b.node("Squeeze", [b.node("Slice", [x, *first], "pool"), first[2]], "pool")
    b.output(b.linear(x, "classifier", WIDTH, 1000), "logits", (1000,))
    return b.finished()


def _layer(b: SequenceBuilder, x: str, path: str, tokens: int) -> str:
    y = b.layer_norm(x, f"{path}/layernorm_before", WIDTH, 1e-12)
    y = b.self_attention(y, f"{path}/attention", tokens, WIDTH, HEADS)
    x = b.node("Add", [b.dense(y, f"{path}/attention/output", WIDTH, WIDTH), x], path)
    y = b.layer_norm(x, f"{path}/layernorm_after", WIDTH, 1e-12)
    y = b.gelu(b.dense(y, f"{path}/intermediate", WIDTH, INNER), f"{path}/gelu")
    return b.node("Add", [b.dense(y, f"{path}/output", INNER, WIDTH), x], f"{path}/residual")
