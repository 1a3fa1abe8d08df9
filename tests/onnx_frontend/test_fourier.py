"""DFT against numpy's fast transforms."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_frontend.models import run_node

GENERATOR = np.random.default_rng(0)


def _pairs(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], -1).astype(np.float64)


@pytest.mark.parametrize("length", [5, 8, 12])
@pytest.mark.parametrize("inverse", [0, 1])
def test_complex_signals(length: int, inverse: int) -> None:
    z = GENERATOR.standard_normal((2, 8, 3)) + 1j * GENERATOR.standard_normal((2, 8, 3))
    arrays = [_pairs(z), np.array(length), np.array(1)]
    found = run_node("DFT", arrays, 20, known=2, inverse=inverse)
    function = np.fft.ifft if inverse else np.fft.fft
    np.testing.assert_allclose(found, _pairs(function(z, length, 1)), atol=1e-12)


@pytest.mark.parametrize("length", [7, 8])
def test_real_signals_and_back(length: int) -> None:
    x = GENERATOR.standard_normal((2, length))
    spectrum = run_node("DFT", [x[..., None], np.array(length)], 20, known=1, onesided=1)
    np.testing.assert_allclose(spectrum, _pairs(np.fft.rfft(x)), atol=1e-12)
    more = {"onesided": 1, "inverse": 1}
    back = run_node("DFT", [spectrum, np.array(length)], 20, known=1, **more)
    np.testing.assert_allclose(back[..., 0], x, atol=1e-12)
