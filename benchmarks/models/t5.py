"""A T5-like encoder and decoder (Raffel et al., Exploring the limits of transfer learning, 2019).

The decoder runs in a Loop that appends the likeliest token in each trip (greedy search).
"""

from __future__ import annotations

import copy

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper

from tensorkiln.benchmarks.models.sequence_builder import SequenceBuilder

WIDTH, HEADS, SIZE, INNER, VOCABULARY, BUCKETS = 512, 8, 64, 2048, 32128, 32


def t5_small(
    batch: int = 1, seed: int = 0, tokens: int = 64, steps: int = 16, layers: int = 6
) -> ModelProto:
    """input_ids i64[batch, tokens] -> decoded i64[batch, steps], token 0 first."""
    b = SequenceBuilder("t5_small", batch, seed)
    ids = b.input("input_ids", (tokens,), TensorProto.INT64)
    table = b.normal("shared.weight", (VOCABULARY, WIDTH), 8)
    x = b.node("Gather", [table, ids], "encoder/embed")
    near = _distances(b, "encoder", tokens)
    for layer in range(layers):
        path = f"encoder/block.{layer}"
        y = _norm(b, x, f"{path}/norm0")
        x = b.node("Add", [x, _attend(b, y, y, f"{path}/self", (tokens, tokens), near)], path)
        x = _feed_forward(b, x, path)
    x = _norm(b, x, "encoder/final")
    b.weight("start", np.zeros((batch, steps), np.int64))
    b.weight("trips", np.array(steps - 1, np.int64))
    b.weight("going", np.array(True))
    body = _body(b, x, (batch, tokens, steps, layers))
    b.nodes.append(
        helper.make_node("Loop", ["trips", "going", "start"], ["decoded"], "decode", body=body)
    )
    result = helper.make_tensor_value_info("decoded", TensorProto.INT64, (batch, steps))
    b.outputs.append(result)
    return b.finished()


def _body(outer: SequenceBuilder, memory: str, sizes: tuple[int, int, int, int]) -> GraphProto:
    """One trip: the decoder over all places, and the token that its place `trip` makes likeliest."""
    batch, tokens, steps, layers = sizes
    b = copy.copy(outer)  # weights are the model's, nodes are the loop's own
    b.nodes = []
    x = b.node("Gather", ["shared.weight", "ids"], "decoder/embed")
    near = _distances(b, "decoder", steps)
    hidden = np.where(np.tril(np.ones((steps, steps), np.bool_)), 0, np.finfo(np.float32).min)
    b.weight("decoder.mask", hidden.astype(np.float32)[None, None])
    near = b.node("Add", [near, "decoder.mask"], "decoder/mask")
    for layer in range(layers):
        path = f"decoder/block.{layer}"
        y = _norm(b, x, f"{path}/norm0")
        x = b.node("Add", [x, _attend(b, y, y, f"{path}/self", (steps, steps), near)], path)
        y = _norm(b, x, f"{path}/norm1")
        mixed = _attend(b, y, memory, f"{path}/cross", (steps, tokens), "")
        x = _feed_forward(b, b.node("Add", [x, mixed], f"{path}/cross/add"), path)
    x = _norm(b, x, "decoder/final")
    x = b.node("Gather", [x, "trip"], "decoder/place", axis=1)
    head = b.normal("lm_head.weight", (WIDTH, VOCABULARY), 8)
    best = b.node("ArgMax", [b.node("MatMul", [x, head], "lm_head")], "best", axis=-1, keepdims=1)
    one = b.weight("one", np.array(1, np.int64))
    order = b.weight("places", np.arange(steps, dtype=np.int64)[None])
    following = b.node("Add", ["trip", one], "next")
    here = b.node("Equal", [order, following], "next")
    made = b.node("Where", [here, best, "ids"], "next")
    more = b.node("Identity", ["condition"], "next")
    whole = (batch, steps)
    inputs = [
        helper.make_tensor_value_info("trip", TensorProto.INT64, ()),
        helper.make_tensor_value_info("condition", TensorProto.BOOL, ()),
        helper.make_tensor_value_info("ids", TensorProto.INT64, whole),
    ]
    outputs = [
        helper.make_tensor_value_info(more, TensorProto.BOOL, ()),
        helper.make_tensor_value_info(made, TensorProto.INT64, whole),
    ]
    return helper.make_graph(b.nodes, "body", inputs, outputs)


def _norm(b: SequenceBuilder, x: str, path: str) -> str:
    """x / sqrt(mean(x^2) + epsilon) * weight, written out."""
    square = b.node("Pow", [x, b.number("two", 2.0)], path)
    mean = b.node("ReduceMean", [square], path, axes=[-1], keepdims=1)
    root = b.node("Sqrt", [b.node("Add", [mean, b.number("epsilon", 1e-6)], path)], path)
    weight = b.uniform(f"{path.replace('/', '.')}.weight", WIDTH, 0.5, 1.5)
    return b.node("Mul", [weight, b.node("Div", [x, root], path)], path)


def _project(b: SequenceBuilder, x: str, path: str, inner: int, outer: int) -> str:
    weight = b.normal(f"{path.replace('/', '.')}.weight", (inner, outer), 2 * inner)
    return b.node("MatMul", [x, weight], path)


def _attend(
    b: SequenceBuilder, x: str, memory: str, path: str, sizes: tuple[int, int], bias: str
) -> str:
    """Attention without a scale; `bias` is added to the scores."""
    queries, keys = sizes
    inner = HEADS * SIZE
    q = b.heads(_project(b, x, f"{path}/q", WIDTH, inner), f"{path}/q", queries, HEADS, SIZE,
                (0, 2, 1, 3))  # fmt: skip
    k = b.heads(_project(b, memory, f"{path}/k", WIDTH, inner), f"{path}/k", keys, HEADS, SIZE,
                (0, 2, 3, 1))  # fmt: skip
    v = b.heads(_project(b, memory, f"{path}/v", WIDTH, inner), f"{path}/v", keys, HEADS, SIZE,
                (0, 2, 1, 3))  # fmt: skip
    scores = b.node("MatMul", [q, k], path)
    if bias:
        scores = b.node("Add", [scores, bias], f"{path}/bias")
    mixed = b.node("MatMul", [b.node("Softmax", [scores], path, axis=-1), v], f"{path}/mix")
    return _project(b, b.merge_heads(mixed, path, queries, inner), f"{path}/o", inner, WIDTH)


def _feed_forward(b: SequenceBuilder, x: str, path: str) -> str:
    y = _project(b, _norm(b, x, f"{path}/norm2"), f"{path}/wi", WIDTH, INNER)
    y = _project(b, b.relu(y, f"{path}/ff"), f"{path}/wo", INNER, WIDTH)
    return b.node("Add", [x, y], f"{path}/ff")


def _distances(b: SequenceBuilder, path: str, tokens: int) -> str:
    """A number for each head and distance, as [1, heads, tokens, tokens]."""
    rows, columns = np.indices((tokens, tokens))
    buckets = np.clip(columns - rows + BUCKETS // 2, 0, BUCKETS - 1).astype(np.int64)
    table = b.normal(f"{path}.distances.weight", (BUCKETS, HEADS), 8)
    found = b.node("Gather", [table, b.weight(f"{path}.buckets", buckets)], f"{path}/distances")
    turned = b.node("Transpose", [found], f"{path}/distances", perm=[2, 0, 1])
    return b.node("Unsqueeze", [turned, b.integers("front", 0)], f"{path}/distances")
