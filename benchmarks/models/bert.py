"""BERT-base without a task's head (Devlin et al., BERT, 2018)."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto

from tensorkiln.benchmarks.models.sequence_builder import SequenceBuilder

WIDTH, HEADS, INNER, VOCABULARY, POSITIONS = 768, 12, 3072, 30522, 512


def bert_base(
    batch: int | str = 1, seed: int = 0, tokens: int | str = 128, layers: int = 12
) -> ModelProto:
    """input_ids, attention_mask, token_type_ids i64[batch, tokens] ->
    last_hidden_state f32[batch, tokens, 768], pooler_output f32[batch, 768].

    A name for `tokens` keeps them open, up to 512.
    """
    b = SequenceBuilder("bert_base", batch, seed)
    names = ("input_ids", "attention_mask", "token_type_ids")
    ids, mask, kinds = (b.input(name, (tokens,), TensorProto.INT64) for name in names)
    words = b.embedding(ids, "embeddings/word_embeddings", VOCABULARY, WIDTH)
    # Models with a vocabulary of two kinds clamp nothing: random kinds must fit their table.
    kinds = b.node("Mod", [kinds, b.integers("kinds", 2)], "embeddings")
    types = b.embedding(kinds, "embeddings/token_type_embeddings", 2, WIDTH)
    places = b.normal("embeddings.position_embeddings.weight", (POSITIONS, WIDTH), 8)
    order = _positions(b, ids, tokens)
    positions = b.node("Gather", [places, order], "embeddings/position_embeddings")
    x = b.node("Add", [words, types], "embeddings")
    x = b.node("Add", [x, positions], "embeddings/positions")
    x = b.layer_norm(x, "embeddings/LayerNorm", WIDTH, 1e-12)
    added = _mask(b, mask)
    for layer in range(layers):
        x = _layer(b, x, f"encoder/layer.{layer}", tokens, added)
    first = b.node("Gather", [x, b.weight("first", np.array(0, np.int64))], "pooler", axis=1)
    weight = b.normal("pooler.dense.weight", (WIDTH, WIDTH), WIDTH)
    bias = b.uniform("pooler.dense.bias", WIDTH, -0.1, 0.1)
    pooled = b.node("Gemm", [first, weight, bias], "pooler/dense", transB=1)
    pooled = b.node("Tanh", [pooled], "pooler/activation")
    b.output(x, "last_hidden_state", (tokens, WIDTH))
    b.output(pooled, "pooler_output", (WIDTH,))
    return b.finished()


def _positions(b: SequenceBuilder, ids: str, tokens: int | str) -> str:
    """0, 1, ... as [1, tokens]; of open length as exporters write it, cut off a constant."""
    path = "embeddings.position_ids"
    if isinstance(tokens, int):
        return b.weight(path, np.arange(tokens, dtype=np.int64)[None])
    every = b.weight(path, np.arange(POSITIONS, dtype=np.int64)[None])
    shape = b.node("Shape", [ids], "embeddings", start=1, end=2)
    return b.node("Slice", [every, b.integers("zero", 0), shape, b.integers("one", 1)], path)


def _mask(b: SequenceBuilder, mask: str) -> str:
    """0 where a token may be seen and the least float where not, as [batch, 1, 1, tokens]."""
    seen = b.node("Unsqueeze", [mask, b.integers("mask.axes", 1, 2)], "mask")
    seen = b.node("Cast", [seen], "mask", to=TensorProto.BOOL)
    hidden = b.number("mask.hidden", float(np.finfo(np.float32).min))
    return b.node("Where", [seen, b.number("mask.seen", 0.0), hidden], "mask")


def _layer(b: SequenceBuilder, x: str, path: str, tokens: int | str, mask: str) -> str:
    mixed = b.self_attention(x, f"{path}/attention/self", tokens, WIDTH, HEADS, mask)
    y = b.dense(mixed, f"{path}/attention/output/dense", WIDTH, WIDTH)
    y = b.node("Add", [y, x], f"{path}/attention/output")
    y = b.layer_norm(y, f"{path}/attention/output/LayerNorm", WIDTH, 1e-12)
    z = b.gelu(b.dense(y, f"{path}/intermediate/dense", WIDTH, INNER), f"{path}/gelu")
    z = b.node("Add", [b.dense(z, f"{path}/output/dense", INNER, WIDTH), y], f"{path}/output")
    return b.layer_norm(z, f"{path}/output/LayerNorm", WIDTH, 1e-12)
