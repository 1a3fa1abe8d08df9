"""Nets over images of open height and width: strides, pooling, and back to the image's size."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import tensorkiln
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder, shorthand
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.frontends.cli.usage import dim
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.open_dims import dim_sizes
from tensorkiln.runtime.errors import FeedError, ModelError, UnsupportedError

node = helper.make_node
KERNELS = {
    "first": (8, 3, 7, 7), "second": (8, 8, 3, 3), "each": (8, 1, 3, 3), "third": (16, 8, 3, 3),
    "short": (16, 8, 1, 1), "up": (16, 8, 2, 2), "last": (4, 16, 3, 3), "dense": (16, 5),
}  # fmt: skip


def net() -> ModelProto:
    """A residual net that is halved three times, a classifier, and a mask of the image's size."""
    drawn = np.random.default_rng(0)
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    halved = {"strides": [2, 2]}
    nodes = [
        node("Conv", ["x", "first"], ["c1"], kernel_shape=[7, 7], pads=[3, 3, 3, 3], **halved),
        node("Relu", ["c1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], **same, **halved),
        node("Conv", ["p1", "second"], ["c2"], **same),
        node("Conv", ["c2", "each"], ["d2"], group=8, **same),
        node("Add", ["d2", "p1"], ["a2"]),
        node("Conv", ["a2", "third"], ["c3"], **same, **halved),
        node("Conv", ["a2", "short"], ["s3"], kernel_shape=[1, 1], **halved),
        node("Add", ["c3", "s3"], ["a3"]),
        node("Relu", ["a3"], ["r3"]),
        node("GlobalAveragePool", ["r3"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("MatMul", ["f", "dense"], ["classes"]),
        node("AveragePool", ["r3"], ["small"], kernel_shape=[2, 1], strides=[2, 1]),
        node("ConvTranspose", ["r3", "up"], ["u"], kernel_shape=[2, 2], **halved),
        node("Concat", ["u", "a2"], ["joined"], axis=1),
        node("Conv", ["joined", "last"], ["coarse"], **same),
        node(
            "Resize", ["coarse", "", "four"], ["mask"], mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
    ]  # fmt: skip
    weights = [
        numpy_helper.from_array((drawn.standard_normal(s) * 0.2).astype(np.float32), name)
        for name, s in KERNELS.items()
    ]
    weights.append(numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "four"))
    shape = ["batch", 3, "height", "width"]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    made = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in ("classes", "small", "mask")
    ]
    graph = helper.make_graph(nodes, "images", [given], made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_images_whose_sizes_are_multiples() -> None:
    model = net()
    ranges = {"batch": 2, "height": (16, 48, 16), "width": 24}
    executable = tensorkiln.compile(model, dims=ranges, cache=False)
    random = np.random.default_rng(1)
    for height in (16, 32, 48):
        sizes = {"batch": 2, "height": height, "width": 24}
        x = random.standard_normal((2, 3, height, 24)).astype(np.float32)
        wanted = evaluate(import_model(model, dims=sizes), [x])
        for got, expected in zip(executable(x), wanted, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-5)
    for shape in ((2, 3, 17, 24), (2, 3, 64, 24), (2, 3, 16, 16)):
        with pytest.raises(FeedError, match="input 'x'"):
            executable(np.zeros(shape, np.float32))


def test_both_sizes_open_at_capacity() -> None:
    """What is not in use is none at all in the interpreter: nothing of it comes through."""
    model = net()
    tops = {"h": 3, "w": 4}

    def make(point: Mapping[str, int]) -> Function:
        sizes = {"batch": 2, "height": 16 * point["h"], "width": 16 * point["w"]}
        return import_model(model, dims=sizes)

    whole = bound(make, [Symbol(name, 1, top) for name, top in tops.items()], tops)
    for h, w in ((1, 1), (2, 3), (3, 4)):
        x = np.random.default_rng(h).standard_normal((2, 3, 16 * h, 16 * w)).astype(np.float32)
        full = np.full((2, 3, 48, 64), np.nan, np.float32)
        full[:, :, : 16 * h, : 16 * w] = x
        arrays = [full, np.array(h, np.int32), np.array(w, np.int32)]
        with np.errstate(all="ignore"):
            results = evaluate(whole.function, arrays)
        wanted = evaluate(make({"h": h, "w": w}), [x])
        for got, expected in zip(results, wanted, strict=True):
            used = got[tuple(slice(0, size) for size in expected.shape)]
            np.testing.assert_allclose(used, expected, rtol=1e-4, atol=2e-5)


def test_sizes_between_multiples_are_refused() -> None:
    def make(point: Mapping[str, int]) -> Function:
        builder = Builder(REGISTRY, "halved")
        x = builder.parameter("x", TensorType((2, point["n"]), F32))
        return builder.finish([shorthand.slice_(builder, x, (0, 0), (2, point["n"] // 3))])

    with pytest.raises(UnsupportedError, match=r"slice.* is no multiple"):
        bound(make, [Symbol("n", 4, 30)], {"n": 30})


def test_ranges_of_multiples_as_they_are_given() -> None:
    found = dim_sizes({"height": (32, 512, 32), "width": (64, 64, 32), "batch": (1, 4)})
    assert [(s.name, s.minimum, s.maximum) for s in found.symbols] == [
        ("height_by_32", 1, 16), ("batch", 1, 4),
    ]  # fmt: skip
    wanted = {"height": 96, "width": 64, "batch": 2}
    assert found.at({"height_by_32": 3, "batch": 2}) == wanted
    for wrong in ((1, 2, 3, 4), (32, 500, 32), (30, 64, 32), (32, 64, 0), (32, 64, -32)):
        with pytest.raises(ModelError, match="multiples of"):
            dim_sizes({"height": wrong})  # type: ignore[dict-item]
    assert dim("height=32..512:32") == ("height", (32, 512, 32))
    for text in ("height=32..500:32", "height=32:32", "height=32..64:0", "height=32..64:"):
        with pytest.raises(argparse.ArgumentTypeError):
            dim(text)
