"""NonMaxSuppression on random boxes, and the generated detector, against other evaluators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_frontend.models import model, value

from tensorkiln.benchmarks.models import detector
from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.pipeline import jit
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.importer import import_with_outputs


class Both:
    """A model, interpreted and compiled."""

    def __init__(self, proto: ModelProto) -> None:
        self.imported = import_with_outputs(proto)
        self.executable = jit(self.imported.function)

    def __call__(self, *arrays: np.ndarray) -> list[list[Any]]:
        found = (evaluate(self.imported.function, arrays), self.executable(*arrays))
        return [self.imported.assemble(results) for results in found]


def runs(proto: ModelProto, *arrays: np.ndarray) -> list[list[Any]]:
    """The outputs interpreted, and compiled."""
    return Both(proto)(*arrays)


def suppression(
    batches: int, classes: int, count: int, most: int | None, center: int = 0, score: bool = True
) -> ModelProto:
    """A node whose thresholds are inputs, and whose `most` is a constant or (None) an input."""
    inputs = [
        value("boxes", (batches, count, 4)), value("scores", (batches, classes, count)),
        value("iou", (1,)),
    ]  # fmt: skip
    if score:
        inputs.append(value("score", (1,)))
    weights = {}
    if most is None:
        inputs.append(value("most", (1,), TensorProto.INT64))
    else:
        weights["most"] = np.array([most], np.int64)
    names = ["boxes", "scores", "most", "iou", *(["score"] if score else [])]
    node = helper.make_node("NonMaxSuppression", names, ["y"], "nms", center_point_box=center)
    return model([node], inputs, weights=weights, opset=11)


def drawn(batches: int, classes: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners in any order, some boxes twice, scores with many ties."""
    generator = np.random.default_rng(batches * 100 + count)
    boxes = generator.integers(0, 6, (batches, count, 4)).astype(np.float32)
    boxes += generator.choice(np.array([0, 0.25], np.float32), boxes.shape)
    scores = generator.integers(-2, 9, (batches, classes, count)).astype(np.float32) / 8
    return boxes, scores


def one(number: float) -> np.ndarray:
    return np.array([number], np.float32)


def expected(proto: ModelProto, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    feeds = {v.name: a for v, a in zip(proto.graph.input, arrays, strict=True)}
    return [np.asarray(a) for a in ReferenceEvaluator(proto).run(None, feeds)]


@pytest.mark.parametrize("center", [0, 1])
@pytest.mark.parametrize("sizes", [(1, 1, 13), (2, 3, 7)], ids=str)
def test_random_boxes(sizes: tuple[int, int, int], center: int) -> None:
    boxes, scores = drawn(*sizes)
    proto = suppression(*sizes, most=None, center=center)
    both = Both(proto)
    for most, iou, score in ((2, 0.3, 0.1), (20, 0.5, -1), (9, 0, 0.25), (5, 1, 0), (0, 0.5, 0)):
        arrays = (boxes, scores, one(iou), one(score), np.array([most], np.int64))
        (wanted,) = expected(proto, arrays)
        for (found,) in both(*arrays):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("most", [1, 4, 2**62, -3])
def test_constant_limits_bound_the_result(most: int) -> None:
    sizes = (2, 2, 5)
    proto = suppression(*sizes, most=most, score=False)
    rows, _ = import_model(proto).results
    assert rows.shape == (4 * min(max(most, 0), 5), 3)
    arrays = (*drawn(*sizes), one(0.4))
    # ONNX's evaluator fails below zero.
    wanted = expected(proto, arrays)[0] if most >= 0 else np.zeros((0, 3), np.int64)
    for (found,) in runs(proto, *arrays):
        np.testing.assert_array_equal(found, wanted.reshape(-1, 3))


@pytest.mark.parametrize("sizes", [(0, 2, 3), (1, 0, 3), (1, 2, 0)], ids=str)
def test_nothing_to_suppress(sizes: tuple[int, int, int]) -> None:
    for (found,) in runs(suppression(*sizes, most=3), *drawn(*sizes), one(0.5), one(0)):
        assert found.shape == (0, 3)


def test_scores_that_are_no_numbers() -> None:
    """A NaN is above no threshold; without one it is the lowest score, with minus infinity."""
    boxes = np.array([[[k, k, k + 0.5, k + 0.5] for k in range(4)]], np.float32)
    scores = np.array([[[np.nan, -np.inf, np.inf, 0]]], np.float32)
    for (found,) in runs(suppression(1, 1, 4, most=4), boxes, scores, one(0.5), one(-1)):
        assert found[:, 2].tolist() == [2, 3]
    for (found,) in runs(suppression(1, 1, 4, most=4, score=False), boxes, scores, one(0.5)):
        assert found[:, 2].tolist() == [2, 3, 0, 1]


SMALL = {"batch": 2, "size": 48, "classes": 3, "width": 4, "candidates": 40, "kept": 5}


def _assert_same_detections(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> None:
    for got, want in zip(found, wanted, strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


def test_detector_agrees_with_the_onnx_reference() -> None:
    proto = detector(**SMALL)
    image = np.random.default_rng(1).standard_normal((2, 3, 48, 48)).astype(np.float32)
    wanted = expected(proto, [image])
    assert 0 < len(wanted[0]) < 2 * 3 * 5
    for found in runs(proto, image):
        _assert_same_detections(found, wanted)


def test_detector_agrees_with_onnxruntime() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    for options in (SMALL, {"batch": 1, "size": 160, "classes": 7, "width": 8}):
        proto = detector(**options)
        shape = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
        image = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
        wanted = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"image": image})
        for found in runs(proto, image):
            _assert_same_detections(found, wanted)
