"""Samples of Fourier transforms, against numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from ops.samples import Sample, draw

from tensorkiln.compiler.ir.dtypes import C64, C128, F32, F64, DType

Array = NDArray[Any]
_FUNCTIONS: dict[str, Any] = {
    "FFT": np.fft.fftn, "IFFT": np.fft.ifftn, "RFFT": np.fft.rfftn, "IRFFT": np.fft.irfftn,
}  # fmt: skip


def _fft(kind: str, shape: tuple[int, ...], dims: int = 1, dtype: DType = C128) -> Sample:
    """`shape` is that of the signals, whose last `dims` dims are transformed."""
    lengths, outer = shape[len(shape) - dims :], shape[: len(shape) - dims]
    given = (*shape[:-1], shape[-1] // 2 + 1) if kind == "IRFFT" else shape
    axes = tuple(range(len(outer), len(shape)))

    def expected(x: Array) -> Any:
        return _FUNCTIONS[kind](x, lengths, axes)

    attributes = {"fft_type": kind, "fft_length": lengths}
    points = float(np.prod(lengths))
    return Sample(
        "fft",
        (draw(given, dtype),),
        expected,
        attributes,
        label=kind,
        slack=4 * max(4, points**0.5),
    )


SAMPLES = (
    *(_fft("FFT", (2, n)) for n in (1, 2, 3, 5, 8, 31, 32, 33, 37, 60, 101, 256)),
    *(_fft(kind, (1, n), 1, dtype) for kind, dtype in (("IFFT", C128), ("RFFT", F64), ("IRFFT", C128))
      for n in (1, 2, 7, 12, 64, 131, 134)),
    _fft("FFT", (3, 4, 6), 2),
    _fft("IFFT", (2, 3, 5, 4), 3, C64),
    _fft("RFFT", (3, 4, 6), 2, F64),
    _fft("RFFT", (2, 4, 5), 3, F32),
    _fft("IRFFT", (3, 4, 6), 2),
    _fft("IRFFT", (2, 3, 7), 3, C64),
    _fft("FFT", (0, 8)),
    _fft("FFT", (2, 1000), 1, C64),
)  # fmt: skip
