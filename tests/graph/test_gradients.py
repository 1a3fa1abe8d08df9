"""tf.gradients: formulas, finite differences, missing paths, second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

R = np.random.RandomState(3)
X = R.randn(2, 3)
LABELS = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "mean square": lambda x: tf.reduce_mean(tf.square(x - 1)),
    "cross entropy": lambda x: tf.nn.softmax_cross_entropy_with_logits_v2(LABELS, x),
    "sparse": lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[2, 0], logits=x),
    "logistic": lambda x: tf.nn.sigmoid_cross_entropy_with_logits(labels=LABELS, logits=x),
    "activations": lambda x: tf.nn.elu(x) + tf.nn.selu(x) + tf.nn.softplus(x) + tf.nn.softsign(x),
    "leaky": lambda x: tf.nn.leaky_relu(x) * tf.tanh(x) * tf.sigmoid(x),
    "matmul": lambda x: tf.matmul(x, x, transpose_b=True) ** 2,
    "slices": lambda x: x[:, ::2] * x[0, 1] + tf.concat([x, x], 0)[1:3, :2],
    "join": lambda x: tf.stack(tf.unstack(x, axis=1)[::-1]) * tf.split(x, 3, 1)[1][0],
    "reductions": lambda x: tf.reduce_max(x, 1) * tf.reduce_prod(x, 1) + tf.reduce_logsumexp(x),
    "where": lambda x: tf.where(x > 0, x * x, tf.exp(x)),
    "gather": lambda x: tf.gather(x, [0, 1, 0]) * tf.nn.embedding_lookup(x, [1, 1, 1]),
    "norms": lambda x: tf.clip_by_norm(x, 1.0) + tf.nn.l2_normalize(x, 1) * tf.nn.l2_loss(x),
    "moments": lambda x: tf.nn.moments(x * x, [0])[1],
    "pad tile": lambda x: tf.tile(tf.pad(x, [[1, 0], [0, 1]], "REFLECT"), [2, 1]) ** 2,
    "cumsum": lambda x: tf.cumsum(x, 1) * x,
    "pool": lambda x: tf.nn.avg_pool(
        tf.nn.max_pool(tf.reshape(x, [1, 2, 3, 1]), [1, 2, 2, 1], [1, 1, 1, 1], "SAME"),
        [1, 2, 2, 1], [1, 2, 2, 1], "SAME",
    ) ** 2,
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_finite_differences(name: str, session: Any) -> None:
    x = tf.placeholder(tf.float64, [2, 3])
    y = FUNCTIONS[name](x)
    (g,) = tf.gradients(y, x)
    assert g.shape.as_list() == [2, 3]
    found = session.run(tf.convert_to_tensor(g), {x: X})
    total, step = tf.reduce_sum(y), 1e-5
    for place in np.ndindex(X.shape):
        up, down = X.copy(), X.copy()
        up[place] += step
        down[place] -= step
        slope = (session.run(total, {x: up}) - session.run(total, {x: down})) / (2 * step)
        np.testing.assert_allclose(found[place], slope, rtol=1e-5, atol=1e-7)


def test_sum_over_ys_and_weights(any_session: Any) -> None:
    x = tf.placeholder(tf.float32, [2])
    ys = [x * 2, x * x]
    assert any_session.run(tf.gradients(ys, x)[0], {x: [1, 3]}).tolist() == [4, 8]
    weighted = tf.gradients(ys, x, [tf.constant([1.0, 0.0]), None])[0]
    assert any_session.run(weighted, {x: [1, 3]}).tolist() == [4, 6]


def test_no_path() -> None:
    x, z = tf.placeholder(tf.float32, [2]), tf.placeholder(tf.float32, [2])
    assert tf.gradients(x * 2, [x, z])[1] is None
    for y in (tf.stop_gradient(x), tf.cast(tf.cast(x, tf.int32), tf.float32), tf.floor(x),
              tf.cast(tf.argmax(x), tf.float32), tf.zeros_like(x)):  # fmt: skip
        assert tf.gradients(y, x) == [None]


def test_stop_gradients(session: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    y = x * x
    assert session.run(tf.gradients(tf.stop_gradient(y) * x, x)[0], {x: 3.0}) == 9.0
    assert tf.gradients(y * y, x, stop_gradients=[y]) == [None]


def test_constants_with_equal_values_are_distinct(session: Any) -> None:
    x = tf.constant(2.0)
    y = x**2.0
    assert session.run(tf.gradients(y, x)[0]) == 4.0


def test_second_derivatives(any_session: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    y = x**3
    (first,) = tf.gradients(y, x)
    (second,) = tf.gradients(first, x)
    assert any_session.run([first, second], {x: 2.0}) == [12.0, 12.0]


def test_gradient_of_an_inner_tensor(session: Any) -> None:
    x = tf.placeholder(tf.float32, [])
    middle = x * 3
    y = middle * middle
    assert session.run(tf.gradients(y, [middle, x]), {x: 2.0}) == [12.0, 36.0]


def test_conventions_at_kinks(any_session: Any) -> None:
    x = tf.placeholder(tf.float32, [3])
    feeds = {x: [0.0, -1.0, 1.0]}
    assert any_session.run(tf.gradients(tf.nn.relu(x), x)[0], feeds).tolist() == [0, 0, 1]
    y = tf.constant([0.0, 0.0, 1.0])
    to_x, to_y = any_session.run(tf.gradients(tf.maximum(x, y), [x, y]), feeds)
    assert (to_x.tolist(), to_y.tolist()) == ([1, 0, 1], [0, 1, 0])
    shared = tf.gradients(tf.reduce_max(x), x)[0]
    assert any_session.run(shared, {x: [2.0, 2.0, 1.0]}).tolist() == [0.5, 0.5, 0]


def test_labels_of_version_one_get_no_gradient() -> None:
    labels, logits = tf.placeholder(tf.float32, [2, 3]), tf.placeholder(tf.float32, [2, 3])
    one = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    two = tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits)
    assert tf.gradients(one, [labels, logits])[0] is None
    assert tf.gradients(two, [labels, logits])[0] is not None


def test_variables(session: Any) -> None:
    w = tf.Variable([1.0, 2.0])
    y = tf.reduce_sum(tf.identity(w) * w)
    session.run(w.initializer)
    gradient = tf.gradients(y, w)[0]
    assert gradient.name.startswith("gradients/")
    assert session.run(gradient).tolist() == [2, 4]


def test_dropout_shares_its_mask(any_session: Any) -> None:
    x = tf.placeholder(tf.float32, [1000])
    y = tf.nn.dropout(x, 0.8, seed=1)
    value, slope = any_session.run([y, tf.gradients(y, x)[0]], {x: np.ones(1000)})
    np.testing.assert_array_equal(value, slope)
    assert set(np.unique(value)) == {0.0, 1.25}
    assert 0.7 < (value > 0).mean() < 0.9
