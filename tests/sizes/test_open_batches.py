"""Models that declare a batch of 1 and write it into reshapes, read with any batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import tensorkiln
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.compiler.sizes.factors import actual
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.errors import ModelError, TensorKilnError, UnsupportedError

node = helper.make_node
LIGHT = os.path.join(os.path.dirname(onnx.__file__), "backend/test/data/light")


def _model(nodes: list[object], shape: list[object], outputs: str = "y") -> ModelProto:
    drawn = np.random.default_rng(0)
    floats = {"k": (8, 3, 3, 3), "g": (8, 4, 1, 1), "w": (128, 10), "one": (1, 1, 4, 4)}
    integers = {
        "rows": [1, 128], "halves": [1, 2, 4, 4, 4], "whole": [1, 8, 4, 4], "rest": [1, -1],
        "sixteen": [1, 48, 1, 1], "table": [8, 16], "flat": [-1],
    }  # fmt: skip
    weights = [
        numpy_helper.from_array((drawn.standard_normal(s) * 0.2).astype(np.float32), name)
        for name, s in floats.items()
    ]
    weights += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in integers.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    made = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs.split()]
    graph = helper.make_graph(nodes, "batches", [x], made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def shuffled() -> ModelProto:
    """Channels shuffled between groups, normalized, pooled, and a classifier behind a reshape."""
    nodes = [
        node("Conv", ["x", "k"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["c"], ["r"]),
        node("Reshape", ["r", "halves"], ["h"]),
        node("Transpose", ["h"], ["t"], perm=[0, 2, 1, 3, 4]),
        node("Reshape", ["t", "whole"], ["s"]),
        node("Conv", ["s", "g"], ["d"], group=2),
        node("LRN", ["d"], ["l"], size=3),
        node("Add", ["l", "one"], ["a"]),
        node("Concat", ["a", "s"], ["j"], axis=1),
        node("MaxPool", ["j"], ["p"], kernel_shape=[2, 2]),
        node("GlobalAveragePool", ["p"], ["means"]),
        node("Constant", [], ["kept"], value_ints=[1, 16]),
        node("Reshape", ["means", "kept"], ["m"]),
        node("Reshape", ["a", "rows"], ["f"]),
        node("Gemm", ["f", "w"], ["z"]),
        node("Softmax", ["z"], ["y"]),
    ]
    model = _model(nodes, [1, 3, 8, 8], "y m")
    return model


def test_rows_are_those_of_single_images() -> None:
    model = shuffled()
    executable = tensorkiln.compile(model, dims={"x.0": (1, 8)}, cache=False)
    alone = import_model(model)
    for batch in (1, 2, 3, 5, 7, 8):
        x = np.random.default_rng(batch).standard_normal((batch, 3, 8, 8)).astype(np.float32)
        results = executable(x)
        for row in range(batch):
            for got, wanted in zip(results, evaluate(alone, [x[row : row + 1]]), strict=True):
                np.testing.assert_allclose(got[row : row + 1], wanted, rtol=1e-4, atol=1e-5)


def test_one_other_batch() -> None:
    function = import_model(shuffled(), dims={"x.0": 5})
    assert [v.shape for v in function.results] == [(5, 10), (5, 16)]
    assert import_model(shuffled(), dims={"x.0": 1}).results[0].shape == (1, 10)


def _over_the_batch() -> ModelProto:
    return _model([node("ReduceMax", ["x"], ["y"], axes=[0], keepdims=1)], [1, 3, 4, 4])


def _among_rows() -> ModelProto:
    nodes = [
        node("Reshape", ["x", "rest"], ["f"]),
        node("Transpose", ["f"], ["t"], perm=[1, 0]),
        node("MatMul", ["f", "t"], ["y"]),
    ]
    return _model(nodes, [1, 3, 4, 4])


def _softmax_of_all() -> ModelProto:
    nodes = [node("Softmax", ["x"], ["y"], axis=0)]
    return _model(nodes, [1, 3, 4, 4])


def _running() -> ModelProto:
    nodes = [
        node("Constant", [], ["first"], value_int=0),
        node("CumSum", ["x", "first"], ["y"]),
    ]
    return _model(nodes, [1, 3, 4, 4])


def _turned() -> ModelProto:
    """Rows are not where a batch is."""
    return _model([node("Transpose", ["x"], ["y"], perm=[1, 0, 2, 3])], [1, 3, 4, 4])


def _joined() -> ModelProto:
    return _model([node("Concat", ["x", "x"], ["y"], axis=0)], [1, 3, 4, 4])


def _flattened() -> ModelProto:
    return _model([node("Reshape", ["x", "flat"], ["y"])], [1, 3, 4, 4])


MIXED: Mapping[str, Callable[[], ModelProto]] = {
    "reduce": _over_the_batch,
    "matmul": _among_rows,
    "softmax": _softmax_of_all,
    "cumsum": _running,
    "transpose": _turned,
    "concat": _joined,
    "flat": _flattened,
}


@pytest.mark.parametrize("name", MIXED)
def test_models_that_mix_rows_are_refused(name: str) -> None:
    model = MIXED[name]()
    with pytest.raises(UnsupportedError, match=r"declares a batch of 1 .* x\.0 no size"):
        import_model(model, dims={"x.0": 3})
    with pytest.raises(UnsupportedError, match="batch of 1"):
        tensorkiln.compile(model, dims={"x.0": (1, 4)}, cache=False)
    import_model(model, dims={"x.0": 1})


def test_what_does_not_fit_another_batch_is_an_error() -> None:
    """The reshape's first dim is no batch: with more images there are too many elements."""
    model = _model([node("Reshape", ["x", "table"], ["y"])], [1, 2, 8, 8])
    assert import_model(model).results[0].shape == (8, 16)
    with pytest.raises(TensorKilnError, match="Reshape"):
        import_model(model, dims={"x.0": 2})


def test_names_of_declared_batches() -> None:
    with pytest.raises(ModelError, match=r"no dim x\.1.*declared batches of 1 are x\.0"):
        import_model(shuffled(), dims={"x.1": 2})
    larger = _model([node("Relu", ["x"], ["y"])], [2, 3])
    with pytest.raises(ModelError, match=r"no dim x\.0"):
        import_model(larger, dims={"x.0": 3})


@pytest.mark.parametrize("name", ["bvlc_alexnet", "vgg19"])
def test_light_models(name: str) -> None:
    model = onnx.load(os.path.join(LIGHT, f"light_{name}.onnx"))
    whole = bound(
        lambda p: import_model(model, dims={"data_0.0": p["n"]}), [Symbol("n", 1, 16)], {"n": 16}
    )
    (shape,) = whole.outputs
    for n in (1, 7, 16):
        assert tuple(actual(dim, {"n": n}) for dim in shape) == (n, 1000)
