"""How ONNX operators become tensor IR: one operator family a file, gathered in one table."""

from __future__ import annotations

from tensorkiln.frontends.onnx.lowerings import (
    activations,
    cast,
    constants,
    control,
    convolution,
    einsum,
    elementwise,
    fourier,
    gather,
    grid_sample,
    linalg,
    matmul,
    movement,
    normalization,
    pooling,
    quantization,
    recurrent,
    reductions,
    resize,
    scatter,
    slicing,
    softmax,
    sorting,
    trigonometry,
)
from tensorkiln.frontends.onnx.table import Table

TABLE = Table(
    (
        *elementwise.LOWERINGS,
        *trigonometry.LOWERINGS,
        *activations.LOWERINGS,
        *constants.LOWERINGS,
        *cast.LOWERINGS,
        *movement.LOWERINGS,
        *slicing.LOWERINGS,
        *gather.LOWERINGS,
        *reductions.LOWERINGS,
        *matmul.LOWERINGS,
        *linalg.LOWERINGS,
        *sorting.LOWERINGS,
        *einsum.LOWERINGS,
        *softmax.LOWERINGS,
        *fourier.LOWERINGS,
        *grid_sample.LOWERINGS,
        *convolution.LOWERINGS,
        *recurrent.LOWERINGS,
        *scatter.LOWERINGS,
        *resize.LOWERINGS,
        *quantization.LOWERINGS,
        *pooling.LOWERINGS,
        *normalization.LOWERINGS,
        *control.LOWERINGS,
    )
)
