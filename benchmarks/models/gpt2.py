"""GPT-2 small (Radford et al., Language models are unsupervised multitask learners, 2019)."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto

from tensorkiln.benchmarks.models.sequence_builder import SequenceBuilder

WIDTH, HEADS, SIZE, VOCABULARY, POSITIONS = 768, 12, 64, 50257, 1024


def gpt2(
    batch: int = 1, seed: int = 0, tokens: int = 64, cached: int = 0, layers: int = 12
) -> ModelProto:
    """input_ids i64[batch, tokens] -> logits f32[batch, tokens, 50257].

    With `cached` tokens, inputs and outputs past.N.key, past.N.value and present.N.key,
    present.N.value f32[batch, 12, cached (+ tokens), 64] hold what was seen before.
    """
    b = SequenceBuilder("gpt2", batch, seed)
    ids = b.input("input_ids", (tokens,), TensorProto.INT64)
    table = b.generator.standard_normal((VOCABULARY, WIDTH), np.float32) * np.float32(0.25)
    x = b.node("Gather", [b.weight("wte.weight", table), ids], "wte")
    places = b.normal("wpe.weight", (POSITIONS, WIDTH), 8)
    order = np.arange(cached, cached + tokens, dtype=np.int64)[None]
    positions = b.node("Gather", [places, b.weight("position_ids", order)], "wpe")
    x = b.node("Add", [x, positions], "embeddings")
    for layer in range(layers):
        x = _layer(b, x, layer, (batch, tokens, cached))
    x = b.layer_norm(x, "ln_f", WIDTH)
    head = b.weight("lm_head.weight", np.ascontiguousarray(table.T))
    b.output(b.node("MatMul", [x, head], "lm_head"), "logits", (tokens, VOCABULARY))
    return b.finished()


def _layer(b: SequenceBuilder, x: str, layer: int, sizes: tuple[int, int, int]) -> str:
    path, (batch, tokens, _) = f"h.{layer}", sizes
    y = b.layer_norm(x, f"{path}/ln_1", WIDTH)
    y = _conv1d(b, y, f"{path}/attn/c_attn", WIDTH, 3 * WIDTH, (batch, tokens))
    y = _attention(b, y, layer, sizes)
    y = _conv1d(b, y, f"{path}/attn/c_proj", WIDTH, WIDTH, (batch, tokens))
    x = b.node("Add", [y, x], path)
    y = b.layer_norm(x, f"{path}/ln_2", WIDTH)
    y = _conv1d(b, y, f"{path}/mlp/c_fc", WIDTH, 4 * WIDTH, (batch, tokens))
    y = _conv1d(b, _gelu(b, y, f"{path}/mlp/act"), f"{path}/mlp/c_proj", 4 * WIDTH, WIDTH,
                (batch, tokens))  # fmt: skip
    return b.node("Add", [x, y], f"{path}/mlp")


def _attention(b: SequenceBuilder, y: str, layer: int, sizes: tuple[int, int, int]) -> str:
    path, (_, tokens, cached) = f"h.{layer}/attn", sizes
    b.node("Split", [y, b.integers("thirds", *(WIDTH,) * 3)], path, axis=-1)
    split = b.nodes[-1]
    split.output[:] = [f"{path}.q", f"{path}.k", f"{path}.v"]
    shape = (tokens, HEADS, SIZE, (0, 2, 1, 3))
    q, k, v = (b.heads(f"{path}.{n}", f"{path}/{n}", *shape) for n in "qkv")
    seen = cached + tokens
    if cached:
        old = [b.input(f"past.{layer}.{n}", (HEADS, cached, SIZE)) for n in ("key", "value")]
        k = b.node("Concat", [old[0], k], f"{path}/k", axis=-2)
        v = b.node("Concat", [old[1], v], f"{path}/v", axis=-2)
    turned = b.node("Transpose", [k], f"{path}/turn", perm=[0, 1, 3, 2])
    scores = b.node("MatMul", [q, turned], path)
    scores = b.node("Div", [scores, b.number("root", np.sqrt(SIZE))], path)
    if tokens > 1:
        visible = np.tril(np.ones((seen, seen), np.bool_))[None, None, cached:]
        if layer == 0:
            b.weight("bias", visible)
        hidden = b.number("hidden", float(np.finfo(np.float32).min))
        scores = b.node("Where", ["bias", scores, hidden], path)
    weights = b.node("Softmax", [scores], path, axis=-1)
    mixed = b.node("MatMul", [weights, v], f"{path}/mix")
    if cached:
        b.output(k, f"present.{layer}.key", (HEADS, seen, SIZE))
        b.output(v, f"present.{layer}.value", (HEADS, seen, SIZE))
    return b.merge_heads(mixed, path, tokens, WIDTH)


def _conv1d(
    b: SequenceBuilder, x: str, path: str, inner: int, outer: int, sizes: tuple[int, int]
) -> str:
    """A dense layer as the model's own code writes it: rows, a Gemm, and rows again."""
    module = path.replace("/", ".")
    rows = b.node("Reshape", [x, b.integers(f"rows.{inner}", -1, inner)], path)
    weight = b.normal(f"{module}.weight", (inner, outer), 2 * inner)
    bias = b.uniform(f"{module}.bias", outer, -0.1, 0.1)
    y = b.node("Gemm", [rows, weight, bias], path)
    return b.node("Reshape", [y, b.integers(f"back.{outer}", *sizes, outer)], f"{path}/back")


def _gelu(b: SequenceBuilder, x: str, path: str) -> str:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), written out."""
    cube = b.node("Pow", [x, b.number("gelu.three", 3.0)], path)
    inner = b.node("Mul", [cube, b.number("gelu.cubic", 0.044715)], path)
    inner = b.node("Add", [x, inner], path)
    inner = b.node("Mul", [inner, b.number("gelu.root", np.sqrt(2 / np.pi))], f"{path}/scaled")
    bent = b.node("Add", [b.node("Tanh", [inner], path), b.number("gelu.one", 1.0)], f"{path}/one")
    half = b.node("Mul", [x, b.number("gelu.half", 0.5)], f"{path}/half")
    return b.node("Mul", [half, bent], f"{path}/out")
