"""DFT and STFT against numpy's fast transforms."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_frontend.models import model, run, run_node, value

from tensorkiln.runtime.errors import ModelError

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


@pytest.mark.parametrize("length", [131, 256, 1000])
def test_long_signals(length: int) -> None:
    x = GENERATOR.standard_normal((2, length))
    found = run_node("DFT", [x[..., None]], 20, onesided=1)
    np.testing.assert_allclose(found, _pairs(np.fft.rfft(x)), atol=1e-10)


@pytest.mark.parametrize("windowed", [True, False])
@pytest.mark.parametrize("onesided", [0, 1])
def test_frames_of_a_signal(windowed: bool, onesided: int) -> None:
    x, window = GENERATOR.standard_normal((2, 50, 1)), np.hanning(16)
    operands, names = [x, np.array(7)], ["x", "step"]
    if windowed:
        operands, names = [*operands, window], [*names, "window"]
    else:
        operands, names = [*operands, np.array(16)], [*names, "", "length"]
    frames = np.stack([x[:, k : k + 16, 0] for k in range(0, 35, 7)], 1)
    frames = frames * window if windowed else frames
    function = np.fft.rfft if onesided else np.fft.fft
    node = helper.make_node("STFT", names, ["y"], "n", onesided=onesided)
    given = [name for name in names if name]
    weights = dict(zip(given[1:], operands[1:], strict=True))
    found = run(model([node], [value("x", x.shape, TensorProto.DOUBLE)], weights=weights), x)
    np.testing.assert_allclose(found[0], _pairs(function(frames)), atol=1e-12)


def test_frames_longer_than_the_signal_are_refused() -> None:
    x = np.zeros((1, 8, 1), np.float32)
    with pytest.raises(ModelError, match="frames of 9 points"):
        run_node("STFT", [x, np.array(1), np.zeros(9, np.float32)], 17, known=2)
