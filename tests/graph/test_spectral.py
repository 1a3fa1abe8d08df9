"""Complex numbers and Fourier transforms of the graph API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorkiln as tf

GENERATOR = np.random.default_rng(4)
Z = GENERATOR.standard_normal((3, 8)) + 1j * GENERATOR.standard_normal((3, 8))
X = GENERATOR.standard_normal((3, 8))

CASES: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "abs": (tf.abs, Z, np.abs(Z)),
    "angle": (tf.angle, Z, np.angle(Z)),
    "angle_of_real": (tf.angle, X, np.angle(X)),
    "conj": (tf.conj, Z, Z.conj()),
    "real": (tf.real, Z, Z.real),
    "imag": (tf.imag, Z, Z.imag),
    "imag_of_real": (tf.imag, X, 0 * X),
    "complex": (lambda x: tf.complex(x, 2 * x), X, X + 2j * X),
    "cast": (lambda x: tf.cast(x, tf.complex128) * 1j, X, 1j * X),
    "lose_the_imaginary_part": (lambda z: tf.cast(z, tf.float64), Z, Z.real),
    "arithmetic": (lambda z: (z * z + 1) / (z - 2j), Z, (Z * Z + 1) / (Z - 2j)),
    "functions": (lambda z: tf.exp(z) + tf.log(z) * tf.sqrt(z), Z, np.exp(Z) + np.log(Z) * Z**0.5),
    "product": (lambda z: tf.matmul(z, z, adjoint_b=True), Z, Z @ Z.conj().T),
    "fft": (tf.fft, Z, np.fft.fft(Z)),
    "ifft": (tf.spectral.ifft, Z, np.fft.ifft(Z)),
    "fft2d": (tf.fft2d, Z, np.fft.fft2(Z)),
    "ifft3d": (lambda z: tf.signal.ifft3d(tf.reshape(z, [3, 2, 4])), Z,
               np.fft.ifftn(Z.reshape(3, 2, 4))),
    "rfft": (tf.spectral.rfft, X, np.fft.rfft(X)),
    "rfft_cut": (lambda x: tf.spectral.rfft(x, [5]), X, np.fft.rfft(X, 5)),
    "rfft_filled": (lambda x: tf.signal.rfft2d(x, [4, 9]), X, np.fft.rfft2(X, (4, 9))),
    "irfft": (tf.spectral.irfft, Z, np.fft.irfft(Z)),
    "irfft2d": (lambda z: tf.signal.irfft2d(z, [3, 13]), Z, np.fft.irfft2(Z, (3, 13))),
    "fftshift": (tf.signal.fftshift, Z, np.fft.fftshift(Z)),
    "ifftshift": (lambda z: tf.signal.ifftshift(z, [0]), Z, np.fft.ifftshift(Z, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name: str, any_session: Any) -> None:
    function, array, expected = CASES[name]
    x = tf.placeholder(array.dtype, array.shape)
    y = function(x)
    found = any_session.run(y, {x: array})
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.dtype == y.dtype.as_numpy_dtype == expected.dtype
    assert y.shape.as_list() == list(expected.shape)


def test_gradients_are_conjugate_as_in_tensorflow(session: Any) -> None:
    z = tf.constant(Z)
    (holomorphic, size) = session.run(
        [tf.gradients(tf.real(z * z), [z])[0], tf.gradients(tf.abs(z), [z])[0]]
    )
    np.testing.assert_allclose(holomorphic, 2 * Z.conj(), atol=1e-12)
    np.testing.assert_allclose(size, Z / np.abs(Z), atol=1e-12)


def test_descent_along_the_gradient_of_a_spectrum(any_session: Any) -> None:
    """A signal is found from its spectrum by gradient descent."""
    signal = tf.Variable(np.zeros(16), dtype=tf.float64)
    target = np.fft.rfft(np.sin(np.arange(16)))
    rest = tf.spectral.rfft(signal) - target
    loss = tf.reduce_sum(tf.real(rest * tf.conj(rest)))
    step = tf.train.GradientDescentOptimizer(0.05).minimize(loss)
    any_session.run(tf.global_variables_initializer())
    for _ in range(60):
        any_session.run(step)
    np.testing.assert_allclose(any_session.run(signal), np.sin(np.arange(16)), atol=1e-3)


def test_what_does_not_go() -> None:
    with pytest.raises(TypeError, match="incorrect types: float32 float64"):
        tf.complex(tf.constant(1.0), tf.constant(1.0, tf.float64))
    with pytest.raises(TypeError, match="float32"):
        tf.fft(tf.constant([1.0, 2.0]))
    with pytest.raises(ValueError, match="at least rank 2"):
        tf.fft2d(tf.constant([1j, 2.0]))
