"""Samples of Winograd convolutions and their transforms; the matrices are written out here again."""

from __future__ import annotations

import numpy as np
from ops.samples import Numbers, Sample, draw

from tensorkiln.compiler.ir.dtypes import F32, F64, DType

_BT = np.array(
    [
        [1, -1.5, -2, 1.5, 1, 0],
        [0, -1, 0.5, 2.5, 1, 0],
        [0, 1, -2.5, 0.5, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 0.5, -1, -0.5, 1, 0],
        [0, 1, -1.5, -2, 1.5, 1],
    ]
)
_AT = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 0.5, -2, 0],
        [0, 1, 1, 0.25, 4, 0],
        [0, 1, -1, 0.125, -8, 1],
    ]
)


def _tiles(image: Numbers, padding: tuple[tuple[int, int], ...], spec: tuple[int, ...]) -> Numbers:
    """[36, tiles, features] of an image, tile by tile."""
    x = image.transpose(spec)
    batch, features, height, width = x.shape
    (top, bottom), (left, right) = padding
    rows, columns = -(-(height + top + bottom - 2) // 4), -(-(width + left + right - 2) // 4)
    room = np.zeros((batch, features, 4 * rows + 2 + height, 4 * columns + 2 + width))
    room[:, :, top : top + height, left : left + width] = x
    found = []
    for n in range(batch):
        for r in range(rows):
            for c in range(columns):
                tile = room[n, :, 4 * r : 4 * r + 6, 4 * c : 4 * c + 6]
                found.append((_BT @ tile @ _BT.T).reshape(features, 36).T)
    return np.stack(found, axis=1)


def _image(m: Numbers, shape: tuple[int, ...], spec: tuple[int, ...]) -> Numbers:
    """The image of `shape` from [36, tiles, features], tile by tile."""
    batch, features, height, width = (shape[d] for d in spec)
    rows, columns = -(-height // 4), -(-width // 4)
    room = np.zeros((batch, features, 4 * rows, 4 * columns))
    for tile in range(batch * rows * columns):
        n, r, c = tile // (rows * columns), tile // columns % rows, tile % columns
        square = m[:, tile].T.reshape(features, 6, 6)
        room[n, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] = _AT @ square @ _AT.T
    return room[:, :, :height, :width].transpose(np.argsort(spec))


def _input(shape: tuple[int, ...], dtype: DType, padding: tuple[tuple[int, int], ...],
           spec: tuple[int, ...] = (0, 1, 2, 3)) -> Sample:  # fmt: skip
    return Sample(
        "winograd_input", (draw(shape, dtype),), lambda x: _tiles(x, padding, spec),
        {"padding": padding, "spec": spec}, slack=16.0, label=str(padding),
    )  # fmt: skip


def _output(shape: tuple[int, ...], dtype: DType, spec: tuple[int, ...] = (0, 1, 2, 3)) -> Sample:
    batch, features, height, width = (shape[d] for d in spec)
    tiles = batch * -(-height // 4) * -(-width // 4)
    return Sample(
        "winograd_output", (draw((36, tiles, features), dtype),),
        lambda m: _image(m, shape, spec), {"shape": shape, "spec": spec}, slack=64.0,
        label=str(shape),
    )  # fmt: skip


def _convolution(shape: tuple[int, ...], outputs: int, dtype: DType,
                 padding: tuple[tuple[int, int], ...] = ((1, 1), (1, 1)),
                 spec: tuple[int, ...] = (0, 1, 2, 3)) -> Sample:  # fmt: skip
    """The result lies in another order of dims: features last."""
    batch, features, *space = (shape[d] for d in spec)
    height, width = (n + sum(p) - 2 for n, p in zip(space, padding, strict=True))

    def expected(x: Numbers, weights: Numbers) -> Numbers:
        products = np.matmul(_tiles(x, padding, spec), weights)
        return _image(products, (batch, height, width, outputs), (0, 3, 1, 2))

    return Sample(
        "winograd_convolution", (draw(shape, dtype), draw((36, features, outputs), dtype)),
        expected, {"padding": padding, "spec": spec, "out_spec": (0, 3, 1, 2)}, slack=1024.0,
        label=f"{shape} to {outputs}",
    )  # fmt: skip


SAMPLES = (
    _input((1, 3, 4, 4), F32, ((1, 1), (1, 1))),
    _input((2, 16, 9, 14), F32, ((1, 1), (1, 1))),
    _input((1, 5, 3, 7), F64, ((0, 0), (2, 1))),
    _input((1, 32, 10, 6), F32, ((0, 0), (0, 0))),
    _input((2, 7, 8, 19), F32, ((0, 3), (1, 0)), spec=(0, 3, 1, 2)),
    _output((1, 3, 4, 4), F32),
    _output((2, 16, 9, 14), F32),
    _output((1, 5, 1, 7), F64),
    _output((2, 7, 5, 19), F32, spec=(0, 3, 1, 2)),
    _convolution((1, 3, 4, 4), 2, F32),
    _convolution((2, 16, 9, 14), 40, F32),
    _convolution((1, 7, 3, 19), 5, F64, padding=((0, 0), (2, 1))),
    _convolution((2, 8, 19, 5), 16, F32, padding=((0, 3), (1, 0)), spec=(0, 3, 1, 2)),
)
