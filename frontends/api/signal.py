"""`tf.signal`: Fourier transforms and the order of their bins."""

from tensorkiln.frontends.graph.ops_spectral import (
    fft,
    fft2d,
    fft3d,
    fftshift,
    ifft,
    ifft2d,
    ifft3d,
    ifftshift,
    irfft,
    irfft2d,
    irfft3d,
    rfft,
    rfft2d,
    rfft3d,
)  # fmt: skip
