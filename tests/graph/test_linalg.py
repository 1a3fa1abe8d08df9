"""Linear algebra of the graph API against numpy; gradients against TensorFlow's conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

GENERATOR = np.random.default_rng(3)
A = GENERATOR.standard_normal((2, 4, 4))
B = GENERATOR.standard_normal((2, 4, 3))
TALL = GENERATOR.standard_normal((2, 5, 3))
SPD = A @ np.swapaxes(A, -1, -2) + np.eye(4)


def _flip(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


Z = A + 1j * _flip(A)
HERMITIAN = Z @ _flip(Z).conj() + np.eye(4)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Any]] = {
    "cholesky": (tf.cholesky, (SPD,), np.linalg.cholesky(SPD)),
    "cholesky_solve": (
        lambda a, b: tf.cholesky_solve(tf.linalg.cholesky(a), b), (SPD, B), np.linalg.solve(SPD, B),
    ),
    "determinant": (tf.matrix_determinant, (A,), np.linalg.det(A)),
    "log_determinant": (lambda a: tf.linalg.slogdet(a)[1], (A,), np.linalg.slogdet(A)[1]),
    "logdet": (tf.linalg.logdet, (SPD,), np.linalg.slogdet(SPD)[1]),
    "inverse": (tf.matrix_inverse, (A,), np.linalg.inv(A)),
    "adjoint_inverse": (
        lambda a: tf.linalg.inv(a, adjoint=True), (A,), _flip(np.linalg.inv(A)),
    ),
    "solve": (tf.matrix_solve, (A, B), np.linalg.solve(A, B)),
    "adjoint_solve": (
        lambda a, b: tf.linalg.solve(a, b, adjoint=True), (A, B), np.linalg.solve(_flip(A), B),
    ),
    "upper": (
        lambda a, b: tf.matrix_triangular_solve(a, b, lower=False), (A, B),
        np.linalg.solve(np.triu(A), B),
    ),
    "least_squares": (
        tf.matrix_solve_ls, (TALL, TALL[..., :2]),
        np.linalg.pinv(TALL) @ TALL[..., :2],
    ),
    "least_norm": (
        lambda a, b: tf.linalg.lstsq(a, b, fast=False), (_flip(TALL), TALL[:, :3, :2]),
        np.linalg.pinv(_flip(TALL)) @ TALL[:, :3, :2],
    ),
    "pinv": (tf.linalg.pinv, (TALL,), np.linalg.pinv(TALL)),
    "qr": (lambda a: tf.matmul(*tf.qr(a)), (TALL,), TALL),
    "eigenvalues": (tf.self_adjoint_eigvals, (SPD,), np.linalg.eigvalsh(SPD)),
    "eigenvectors": (
        lambda a: tf.abs(tf.linalg.eigh(a).v), (SPD,), np.abs(np.linalg.eigh(SPD)[1]),
    ),
    "singular_values": (
        lambda a: tf.svd(a, compute_uv=False), (TALL,), np.linalg.svd(TALL, compute_uv=False),
    ),
    "left": (lambda a: tf.abs(tf.svd(a).u), (TALL,), np.abs(np.linalg.svd(TALL, False)[0])),
    "whole": (
        lambda a: tf.linalg.trace(tf.matmul(tf.svd(a, True)[1], tf.svd(a, True)[1], adjoint_b=True)),
        (TALL,), [5.0, 5.0],
    ),
    "complex_cholesky": (tf.cholesky, (HERMITIAN,), np.linalg.cholesky(HERMITIAN)),
    "complex_inverse": (
        lambda a: tf.matrix_inverse(a, adjoint=True), (Z,), np.linalg.inv(_flip(Z).conj()),
    ),
    "complex_solve": (
        lambda a, b: tf.matrix_solve(a, b, adjoint=True), (Z, B + 1j),
        np.linalg.solve(_flip(Z).conj(), B + 1j),
    ),
    "complex_triangle": (
        lambda a, b: tf.matrix_triangular_solve(a, b, adjoint=True), (Z, B + 1j),
        np.linalg.solve(_flip(np.tril(Z)).conj(), B + 1j),
    ),
    "matvec": (tf.linalg.matvec, (A, B[..., 0]), (A @ B)[..., 0]),
    "adjoint": (tf.linalg.adjoint, (A,), _flip(A)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name: str, any_session: Any) -> None:
    function, arrays, expected = CASES[name]
    operands = [tf.placeholder(a.dtype, a.shape) for a in arrays]
    found = function(*operands)
    np.testing.assert_allclose(
        any_session.run(found, dict(zip(operands, arrays, strict=True))), expected, atol=1e-9
    )
    assert found.shape.as_list() == list(np.shape(expected))


def test_rows_of_the_product_of_factors(any_session: Any) -> None:
    found = any_session.run(tf.linalg.lu(tf.constant(A)))
    lower = np.tril(found.lu, -1) + np.eye(4)
    product = lower @ np.triu(found.lu)
    np.testing.assert_allclose(product, np.take_along_axis(A, found.p[..., None], 1), atol=1e-12)


def test_the_gradient_of_cholesky_is_symmetric(session: Any) -> None:
    x = tf.constant(SPD)
    (found,) = session.run(tf.gradients(tf.cholesky(x), [x]))
    np.testing.assert_allclose(found, _flip(found), atol=1e-12)
    step, direction = 1e-6, A + _flip(A)
    ends = [np.linalg.cholesky(SPD + s * step * direction).sum() for s in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    assert (found * direction).sum() == pytest.approx(slope, rel=1e-6)


def test_the_gradient_of_eigenvalues_lies_in_the_lower_triangle(session: Any) -> None:
    x = tf.constant(SPD)
    (found,) = session.run(tf.gradients(tf.reduce_max(tf.self_adjoint_eigvals(x)), [x]))
    np.testing.assert_array_equal(found, np.tril(found))


def test_only_the_lower_triangle_counts(session: Any) -> None:
    changed = np.tril(SPD) + np.triu(A, 1)
    found = session.run([tf.cholesky(tf.constant(changed)), tf.self_adjoint_eigvals(changed)])
    np.testing.assert_allclose(found[0], np.linalg.cholesky(SPD), atol=1e-12)
    np.testing.assert_allclose(found[1], np.linalg.eigvalsh(SPD), atol=1e-10)


def test_shapes_that_do_not_fit() -> None:
    wide = tf.placeholder(tf.float32, [2, 3])
    with pytest.raises(ValueError, match="Dimensions must be equal, but are 2 and 3"):
        tf.matrix_inverse(wide)
    with pytest.raises(ValueError, match="Dimensions must be equal, but are 3 and 2"):
        tf.matrix_solve(tf.placeholder(tf.float32, [3, 3]), wide)
    with pytest.raises(ValueError, match="at least rank 2 but is rank 1"):
        tf.qr(tf.placeholder(tf.float32, [3]))
    with pytest.raises(TypeError, match="int32"):
        tf.matrix_determinant(tf.constant([[1, 2], [3, 4]]))
    assert tf.svd(tf.placeholder(tf.float32, [None, 4, 3])).u.shape.as_list() == [None, 4, 3]


def test_vectors_beyond_the_rank_have_no_gradient(session: Any) -> None:
    x = tf.constant(TALL)
    _, u, _ = tf.svd(x, full_matrices=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="full_matrices"):
        session.run(tf.gradients(u, [x]))


def test_names_as_in_tensorflow() -> None:
    x = tf.placeholder(tf.float32, [3, 3], "x")
    assert tf.cholesky(x).name == "Cholesky:0"
    assert tf.matrix_inverse(x).op.type == "MatrixInverse"
    assert tf.svd(x)[0].op.type == "Svd"
    assert tf.nn.top_k(x, 2).indices.name == "TopKV2:1"
