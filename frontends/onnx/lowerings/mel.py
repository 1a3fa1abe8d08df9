"""MelWeightMatrix: triangles of a mel spectrogram, made while importing."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Array
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering


def _mel_weight_matrix(node: Node) -> Array:
    """Bands of equal width in mel = 2595 log10(1 + f / 700), each rising from the middle of the one
    before to its own and falling to the middle of the next one (O'Shaughnessy, 1987)."""
    bands, length, rate = (int(node.known(k).reshape(())) for k in range(3))
    low, high = (float(node.known(k).reshape(())) for k in (3, 4))
    if bands < 1 or length < 1 or rate < 1 or not 0 <= low <= high:
        raise node.invalid(f"{bands} bands from {low} to {high} Hz, {length} points at {rate} Hz")
    rows = length // 2 + 1
    node.limited(rows * bands, "weights")
    mel = 2595 * np.log10(1 + np.array([low, high]) / 700)
    step = (mel[1] - mel[0]) / (bands + 2)
    hertz = 700 * (10 ** ((mel[0] + step * np.arange(bands + 2)) / 2595) - 1)
    edges = ((length + 1) * hertz // rate).astype(np.int64)
    if edges[-1] > rows:
        raise node.invalid(f"its upper edge of {high} Hz is above half of {rate} Hz")
    place = np.arange(rows)[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rising = np.where(left == middle, 1.0, (place - left) / np.maximum(middle - left, 1))
    falling = (right - place) / np.maximum(right - middle, 1)
    weights = np.where(
        (place >= middle) & (place < right), falling,
        np.where((place >= left) & (place <= middle), rising, 0.0),
    )  # fmt: skip
    return weights.astype(node.dtype("output_datatype", F32).numpy)


LOWERINGS = (Lowering("MelWeightMatrix", _mel_weight_matrix, 17),)
