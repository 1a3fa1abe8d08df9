"""tf.nn.with_space_to_batch is a dilated convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

R = np.random.RandomState(0)
IMAGE = R.randn(2, 9, 7, 3).astype(np.float32)
KERNEL = R.randn(3, 2, 3, 4).astype(np.float32)


def convolved(tensor: Any, dims: int, padding: str) -> Any:
    assert dims == 2
    return tf.nn.conv2d(tensor, KERNEL, [1, 1, 1, 1], padding)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("rates", [[1, 1], [2, 2], [3, 2]])
@pytest.mark.parametrize("known", [True, False])
def test_dilated_convolutions(padding: str, rates: list[int], known: bool, session: Any) -> None:
    x = tf.placeholder(tf.float32, IMAGE.shape if known else [None, None, None, 3])
    made = tf.nn.with_space_to_batch(x, rates, padding, convolved, filter_shape=[3, 2])
    direct = tf.nn.conv2d(x, KERNEL, [1, 1, 1, 1], padding, dilations=[1, *rates, 1])
    found, expected = session.run([made, direct], {x: IMAGE})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    if known:
        assert made.shape == direct.shape


def test_one_of_the_dims(session: Any) -> None:
    def pooled(tensor: Any, dims: int, padding: str) -> Any:
        assert (dims, padding) == (1, "VALID")
        return tf.nn.max_pool(tensor, [1, 1, 2, 1], [1, 1, 1, 1], padding)

    made = tf.nn.with_space_to_batch(IMAGE, [3], "VALID", pooled, spatial_dims=[2])
    expected = np.maximum(IMAGE[:, :, :-3], IMAGE[:, :, 3:])
    np.testing.assert_array_equal(session.run(made), expected)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="filter_shape must be specified for SAME"):
        tf.nn.with_space_to_batch(IMAGE, [2, 2], "SAME", convolved)
    with pytest.raises(ValueError, match="dilation_rate must be positive"):
        tf.nn.with_space_to_batch(IMAGE, [0, 2], "VALID", convolved)
    with pytest.raises(ValueError, match="Invalid padding method"):
        tf.nn.with_space_to_batch(IMAGE, [2, 2], "FULL", convolved)
    with pytest.raises(ValueError, match="do not fit dilation_rate"):
        tf.nn.with_space_to_batch(IMAGE, [2, 2], "VALID", convolved, spatial_dims=[1])
