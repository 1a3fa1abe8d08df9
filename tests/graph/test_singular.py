"""Matrices without an inverse, a factor or a spectrum: what TensorFlow 2.21 says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

ZEROS, SINGULAR = np.zeros((2, 2)), np.array([[1.0, 2.0], [2.0, 4.0]])
UNKNOWN = np.array([[np.nan, 2.0], [2.0, 1.0]])
GOOD = np.array([[1.0, 2.0], [3.0, 4.0]])
STACK = np.stack([GOOD, SINGULAR])
INVERSE, SYSTEM = "Input is not invertible.", "Input matrix is not invertible."
RAISING: dict[str, tuple[Callable[[Any], Any], str]] = {
    "inverse": (lambda x: tf.matrix_inverse(x, name="op"), INVERSE),
    "adjoint": (lambda x: tf.matrix_inverse(x, adjoint=True, name="op"), INVERSE),
    "inverse gradient": (lambda x: tf.gradients(tf.matrix_inverse(x, name="op"), x), INVERSE),
    "solve": (lambda x: tf.matrix_solve(x, tf.ones_like(x), name="op"), SYSTEM),
    "solve gradient": (
        lambda x: tf.gradients(tf.matrix_solve(x, tf.ones_like(x), name="op"), x), SYSTEM,
    ),
    "lu": (lambda x: tf.linalg.lu(x, name="op").lu, INVERSE),
    "determinant gradient": (
        lambda x: tf.gradients(tf.matrix_determinant(x), x, name="op"), INVERSE,
    ),
    "slogdet gradient": (
        lambda x: tf.gradients(tf.linalg.slogdet(x).log_abs_determinant, x, name="op"), INVERSE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RAISING)
def test_singular_matrices_are_errors(name: str, any_session: Any) -> None:
    make, text = RAISING[name]
    x = tf.placeholder(tf.float64, [None, None, None])
    y = make(x)
    any_session.run(y, {x: GOOD[None]})
    for matrices in (STACK, ZEROS[None], UNKNOWN[None]):
        with pytest.raises(tf.errors.InvalidArgumentError, match=text) as caught:
            any_session.run(y, {x: matrices})
        assert caught.value.op.name.startswith("op")


@pytest.mark.parametrize("dtype", [tf.float32, tf.complex64, tf.complex128])
def test_singular_matrices_of_other_dtypes(dtype: Any, session: Any) -> None:
    x = tf.placeholder(dtype, [2, 2])
    y = tf.matrix_inverse(x)
    np.testing.assert_allclose(session.run(y, {x: GOOD}), np.linalg.inv(GOOD), rtol=1e-5)
    singular = np.array([[1, 2j], [2, 4j]]) if dtype.is_complex else SINGULAR
    with pytest.raises(tf.errors.InvalidArgumentError, match=INVERSE):
        session.run(y, {x: singular})


def test_no_variable_changes_where_a_matrix_is_singular(any_session: Any) -> None:
    v = tf.Variable(SINGULAR)
    step = tf.assign_add(v, tf.matrix_inverse(v))
    any_session.run(v.initializer)
    with pytest.raises(tf.errors.InvalidArgumentError, match=INVERSE):
        any_session.run(step)
    np.testing.assert_array_equal(any_session.run(v), SINGULAR)
    any_session.run(tf.assign(v, GOOD))
    np.testing.assert_allclose(any_session.run(step), GOOD + np.linalg.inv(GOOD))


def test_what_has_no_factor_is_nan(any_session: Any) -> None:
    x = tf.placeholder(tf.float64, [None, 2, 2])
    good = np.array([[2.0, 1.0], [1.0, 3.0]])
    found = any_session.run(tf.cholesky(x), {x: np.stack([good, SINGULAR, GOOD, UNKNOWN])})
    lost = [[np.nan, 0.0], [np.nan, np.nan]]
    np.testing.assert_allclose(found, [np.linalg.cholesky(good), lost, lost, lost])
    assert any_session.run(tf.cholesky(x), {x: np.zeros((0, 2, 2))}).shape == (0, 2, 2)


def test_values_of_singular_matrices(session: Any) -> None:
    x = tf.placeholder(tf.float64, [2, 2])
    ys = [tf.matrix_determinant(x), tf.linalg.slogdet(x).log_abs_determinant, tf.linalg.logdet(x)]
    assert session.run(ys[:2], {x: SINGULAR}) == [0.0, -np.inf]
    assert np.isnan(session.run(ys[2], {x: SINGULAR}))


def test_no_spectrum(any_session: Any) -> None:
    x = tf.placeholder(tf.float64, [2, 2])
    y = tf.self_adjoint_eigvals(x)
    np.testing.assert_allclose(any_session.run(y, {x: SINGULAR}), [0.0, 5.0], atol=1e-12)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Self-adjoint eigen decomposition"):
        any_session.run(y, {x: UNKNOWN})


@pytest.mark.parametrize(
    ("make", "array", "text"),
    [
        (tf.matrix_inverse, np.ones(3), "Input tensor 0 must have rank >= 2, got 1"),
        (tf.matrix_inverse, np.ones((2, 3)), "Input matrix must be square."),
        (tf.cholesky, np.ones((2, 3)), "Input matrix must be square."),
        (tf.cholesky, np.ones(3), "Input tensor 0 must have rank >= 2, got 1"),
        (
            lambda x: tf.matrix_solve(x, tf.ones([3, 1], tf.float64)), GOOD,
            "Input matrix and rhs are incompatible.",
        ),
    ],
)  # fmt: skip
def test_shapes_that_only_a_run_knows(make: Any, array: Any, text: str, session: Any) -> None:
    x = tf.placeholder(tf.float64)
    y = make(x)
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        session.run(y, {x: array})


def test_a_loop_goes_on(session: Any) -> None:
    def body(k: Any, x: Any) -> Any:
        return k + 1, tf.matrix_inverse(x) + x

    last = tf.while_loop(lambda k, x: k < 1, body, (tf.constant(0), tf.constant(SINGULAR)))[1]
    assert not np.isfinite(session.run(last)).any()
