"""Boxes, crops and images of another size, against TensorFlow 2.21 (`record_boxes.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

RECORDED = dict(np.load(Path(__file__).parent / "data" / "boxes.npz"))
IMAGE, BOXES, SCORES = RECORDED["image"], RECORDED["boxes"], RECORDED["scores"]


def cases(start: str) -> list[str]:
    return [key for key in RECORDED if key.startswith(start)]


def evaluated(tensors: Any) -> Any:
    with tf.Session() as session:
        return session.run(tensors)


@pytest.fixture(autouse=True)
def graph() -> Any:
    with tf.Graph().as_default():
        yield


@pytest.mark.parametrize("case", cases("resize"))
def test_sizes(case: str) -> None:
    kind, size, flag, _ = case.split("/")
    height, width = map(int, size.split("x"))
    resized = getattr(tf.image, kind)(IMAGE, (height, width), **{f: True for f in [flag] if f})
    assert resized.shape.as_list() == [2, height, width, 2]
    np.testing.assert_allclose(evaluated(resized), RECORDED[case], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("case", [key for key in cases("nms") if key.endswith("/0")])
def test_boxes_that_are_kept(case: str) -> None:
    kind, limit, threshold, _ = case.split("/")
    given = (BOXES, SCORES, int(limit), float(threshold))
    if kind == "nms_soft":
        kept, scores = tf.image.non_max_suppression_with_scores(*given, soft_nms_sigma=0.2)
        expected = RECORDED[f"{case[:-1]}1"]
        np.testing.assert_allclose(evaluated(scores), expected, rtol=1e-5)
    else:
        kept = tf.image.non_max_suppression(*given, 0.4 if kind == "nms_least" else float("-inf"))
    assert kept.dtype is tf.int32
    np.testing.assert_array_equal(evaluated(kept), RECORDED[case])


def test_padded() -> None:
    kept, count = tf.image.non_max_suppression_padded(
        BOXES, SCORES, 40, 0.5, pad_to_max_output_size=True
    )
    assert kept.shape.as_list() == [40]
    expected = RECORDED["nms/40/0.5/0"]
    found, number = evaluated([kept, count])
    assert number == len(expected)
    np.testing.assert_array_equal(found, np.pad(expected, (0, 40 - number)))


@pytest.mark.parametrize("case", cases("crop"))
def test_crops(case: str) -> None:
    _, size, method, _ = case.split("/")
    height, width = map(int, size.split("x"))
    crops = tf.image.crop_and_resize(
        IMAGE, RECORDED["parts"], [0, 1, 1, 0, 1, 0], (height, width), method, -1
    )
    assert crops.shape.as_list() == [6, height, width, 2]
    np.testing.assert_allclose(evaluated(crops), RECORDED[case], rtol=1e-4, atol=1e-3)


def test_wrong_boxes() -> None:
    with pytest.raises(ValueError, match="Dimension must be 4 but is 3"):
        tf.image.non_max_suppression(BOXES[:, :3], SCORES, 3)
    with pytest.raises(ValueError, match="Dimensions must be equal, but are 30 and 3"):
        tf.image.non_max_suppression(BOXES, SCORES[:3], 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"iou_threshold must be in \[0, 1\]"):
        evaluated(tf.image.non_max_suppression(BOXES, SCORES, 3, 1.5))
    assert evaluated(tf.image.non_max_suppression(BOXES[:0], SCORES[:0], 3)).tolist() == []
    crops = tf.image.crop_and_resize(IMAGE, RECORDED["parts"][:1], [2], (2, 2))
    with pytest.raises(tf.errors.OutOfRangeError, match="box_index has values outside"):
        evaluated(crops)
    with pytest.raises(ValueError, match="method must be 'bilinear' or 'nearest'"):
        tf.image.crop_and_resize(IMAGE, RECORDED["parts"][:1], [0], (2, 2), "cubic")


def test_gradient_of_bicubic_and_area() -> None:
    x = tf.constant(IMAGE)
    for resize in (tf.image.resize_bicubic, tf.image.resize_area):
        resized = resize(x, (3, 4))
        (gradient,) = tf.gradients(resized, x)
        # Each weight of a row adds up to one, so the sum of all gradients counts the new pixels.
        assert evaluated(tf.reduce_sum(gradient)) == pytest.approx(2 * 3 * 4 * 2, rel=1e-3)
