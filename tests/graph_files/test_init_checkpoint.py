from pathlib import Path

import numpy as np
import pytest

import tensorkiln as tf


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A checkpoint with old/w, old/b and step."""
    tf.reset_default_graph()
    with tf.variable_scope("old"):
        tf.get_variable("w", initializer=tf.constant([[1.0, 2.0]]))
        tf.get_variable("b", initializer=tf.constant([3.0]))
    tf.get_variable("step", initializer=tf.constant(4))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        saved = tf.train.Saver().save(sess, f"{tmp_path}/m", write_meta_graph=False)
    tf.reset_default_graph()
    return saved


def test_scopes_names_and_variables(path: str) -> None:
    with tf.variable_scope("new"):
        w = tf.get_variable("w", [1, 2])
        b = tf.get_variable("b", [1])
    other = tf.get_variable("other", [1, 2])
    step = tf.get_variable("n", [], tf.int32, tf.zeros_initializer())
    tf.train.init_from_checkpoint(path, {"old/": "new/", "old/w": other, "step": "n"})
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        np.testing.assert_array_equal(sess.run(w), [[1.0, 2.0]])
        np.testing.assert_array_equal(sess.run(other), [[1.0, 2.0]])
        assert sess.run([b, step]) == [3.0, 4]


def test_errors(path: str) -> None:
    tf.get_variable("w", [2, 2])
    init = tf.train.init_from_checkpoint
    with pytest.raises(ValueError, match=r"Tensor old/x is not found in .* checkpoint"):
        init(path, {"old/x": "w"})
    with pytest.raises(ValueError, match=r"\(\(2, 2\)\) doesn't match .* old/w \(\[1, 2\]\)"):
        init(path, {"old/w": "w"})
    with pytest.raises(ValueError, match="Variable q is not found in the graph"):
        init(path, {"old/w": "q"})
    with pytest.raises(ValueError, match="should map to scope only"):
        init(path, {"old": "new/"})
    with pytest.raises(ValueError, match="no variable below 'new/'"):
        init(path, {"old/": "new/"})
