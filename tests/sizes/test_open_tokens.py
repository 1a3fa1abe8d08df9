"""A vision transformer over images of open size: a token for each patch, and one for the class."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

import tensorkiln
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.manifest import Manifest

node = helper.make_node
WIDTH, HEADS, PATCH = 16, 2, 4


@functools.cache
def vit() -> ModelProto:
    """One block of attention; classes, and the patches' tokens as an image."""
    drawn = np.random.default_rng(5)
    shapes = {
        "patch": (WIDTH, 3, PATCH, PATCH), "class": (1, 1, WIDTH), "wq": (WIDTH, WIDTH),
        "wk": (WIDTH, WIDTH), "wv": (WIDTH, WIDTH), "wo": (WIDTH, WIDTH), "dense": (WIDTH, 5),
    }  # fmt: skip
    weights = [
        numpy_helper.from_array((drawn.standard_normal(s) * 0.2).astype(np.float32), name)
        for name, s in shapes.items()
    ]
    integers = {
        "flat": [0, 0, -1], "cut": [0, 0, HEADS, WIDTH // HEADS], "whole": [0, 0, WIDTH],
        "one": [1], "all": [1 << 40], "first": 0, "two": [2], "four": [4], "none": [0],
        "sizes": [WIDTH], "ones": [1, 1],
    }  # fmt: skip
    weights += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in integers.items()]
    nodes = [
        node("Conv", ["x", "patch"], ["image"], kernel_shape=[PATCH] * 2, strides=[PATCH] * 2),
        node("Shape", ["image"], ["shape"]),
        node("Slice", ["shape", "none", "one"], ["batch"]),
        node("Slice", ["shape", "two", "four"], ["places"]),
        node("Reshape", ["image", "flat"], ["columns"]),
        node("Transpose", ["columns"], ["patches"], perm=[0, 2, 1]),
        node("Concat", ["batch", "ones"], ["once"], axis=0),
        node("Expand", ["class", "once"], ["classes"]),
        node("Concat", ["classes", "patches"], ["tokens"], axis=1),
    ]
    for letter in "qkv":
        order = [0, 2, 3, 1] if letter == "k" else [0, 2, 1, 3]
        nodes += [
            node("MatMul", ["tokens", f"w{letter}"], [f"p{letter}"]),
            node("Reshape", [f"p{letter}", "cut"], [f"r{letter}"]),
            node("Transpose", [f"r{letter}"], [f"t{letter}"], perm=order),
        ]
    nodes += [
        node("MatMul", ["tq", "tk"], ["scores"]),
        node("Softmax", ["scores"], ["weights"], axis=-1),
        node("MatMul", ["weights", "tv"], ["o"]),
        node("Transpose", ["o"], ["ot"], perm=[0, 2, 1, 3]),
        node("Reshape", ["ot", "whole"], ["of"]),
        node("MatMul", ["of", "wo"], ["projected"]),
        node("Add", ["projected", "tokens"], ["mixed"]),
        node("Gather", ["mixed", "first"], ["token"], axis=1),
        node("MatMul", ["token", "dense"], ["logits"]),
        node("Slice", ["mixed", "one", "all", "one"], ["behind"]),
        node("Transpose", ["behind"], ["rows"], perm=[0, 2, 1]),
        node("Concat", ["batch", "sizes", "places"], ["back"], axis=0),
        node("Reshape", ["rows", "back"], ["features"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    made = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, None)
        for n in ("logits", "mixed", "features")
    ]
    graph = helper.make_graph(nodes, "vit", [x], made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def _check(dims: Mapping[str, object], points: list[tuple[int, int, int]]) -> None:
    model = vit()
    executable = tensorkiln.compile(model, dims=dims, cache=False)
    for batch, height, width in points:
        x = np.random.default_rng(height).standard_normal((batch, 3, height, width))
        x = x.astype(np.float32)
        wanted = evaluate(
            import_model(model, dims={"batch": batch, "height": height, "width": width}), [x]
        )
        for got, expected in zip(executable(x), wanted, strict=True):
            assert got.shape == expected.shape
            np.testing.assert_allclose(
                got, expected, rtol=1e-4, atol=3e-5, err_msg=f"{height}x{width}"
            )


def test_images_of_whole_patches() -> None:
    sizes = {"batch": (1, 2), "height": (8, 28, 4), "width": (12, 28, 4)}
    _check(sizes, [(1, 8, 12), (2, 8, 28), (1, 12, 20), (2, 20, 12), (2, 28, 28)])


def test_images_of_any_size() -> None:
    points = [(2, h, w) for h in (8, 11, 13, 14) for w in (9, 12, 13)]
    _check({"batch": 2, "height": (8, 14), "width": (9, 13)}, points)


def test_shapes_of_results_in_words() -> None:
    ranges = {"batch": 1, "height": (8, 12, 4), "width": (8, 14)}
    executable = tensorkiln.compile(vit(), dims=ranges, cache=False)
    _, mixed, features = executable.outputs
    assert str(mixed.shape) == "1,height_by_4*(width/4)+1,16"
    assert str(features.shape) == "1,16,height_by_4,width/4"
    assert mixed.shape.at({"height_by_4": 3, "width": 11}) == (1, 7, 16)
    manifest = executable.manifest
    assert Manifest.from_json(manifest.to_json()) == manifest
