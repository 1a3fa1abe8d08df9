"""The generated networks, small, against an independent evaluator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from tensorkiln.benchmarks.models import inception_v3, lenet, mlp, mobilenet_v2, resnet50, vgg16
from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.onnx import import_model

SMALL: dict[str, tuple[Callable[[], ModelProto], tuple[int, ...]]] = {
    "mlp": (lambda: mlp(3), (3, 784)),
    "lenet": (lambda: lenet(2), (2, 1, 28, 28)),
    "resnet50": (lambda: resnet50(1, size=32), (1, 3, 32, 32)),
    "vgg16": (lambda: vgg16(1, size=32, hidden=64), (1, 3, 32, 32)),
    "mobilenet_v2": (lambda: mobilenet_v2(1, size=32), (1, 3, 32, 32)),
    "inception_v3": (lambda: inception_v3(1, size=75), (1, 3, 75, 75)),
}


def _found(model: ModelProto, x: np.ndarray, compiled: bool = False) -> np.ndarray:
    function = import_model(model)
    return jit(function)(x)[0] if compiled else np.asarray(evaluate(function, [x])[0])


def _assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["mlp", "lenet", "mobilenet_v2"])
def test_agrees_with_the_onnx_reference(name: str) -> None:
    generate, shape = SMALL[name]
    model = generate()
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"input": x})
    _assert_close(_found(model, x), np.asarray(expected))
    if name != "mobilenet_v2":  # slow to compile; test_agrees_with_onnxruntime has it
        _assert_close(_found(model, x, compiled=True), np.asarray(expected))


@pytest.mark.parametrize("name", SMALL)
def test_agrees_with_onnxruntime(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    generate, shape = SMALL[name]
    model = generate()
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"input": x})
    _assert_close(_found(model, x), expected)
    _assert_close(_found(model, x, compiled=True), expected)


def test_weights_follow_the_seed() -> None:
    assert lenet(seed=3).SerializeToString() == lenet(seed=3).SerializeToString()
    assert lenet(seed=3).SerializeToString() != lenet(seed=4).SerializeToString()


@pytest.mark.parametrize(
    ("model", "parameters"), [(lenet, 61_706), (mobilenet_v2, 3_538_984), (resnet50, 25_610_152)]
)
def test_sizes_are_those_of_the_papers(model: Callable[[], ModelProto], parameters: int) -> None:
    """Running means and variances of batch norms count too."""
    weights = model().graph.initializer
    assert sum(len(w.raw_data) // 4 for w in weights if w.dims) == parameters
