"""Histograms with the bucket limits that TensorBoard expects."""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import numpy.typing as npt

from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.summary.proto_summary import HistogramProto

_SMALLEST, _LARGEST, _GROWTH = 1e-12, 1e20, 1.1


@cache
def limits() -> npt.NDArray[np.float64]:
    """The upper limits of the buckets: 0 and plus and minus 1e-12 * 1.1**k below 1e20, then the
    largest finite number."""
    positive = []
    limit = _SMALLEST
    while limit < _LARGEST:
        positive.append(limit)
        limit *= _GROWTH
    positive.append(sys.float_info.max)
    return np.array([-limit for limit in reversed(positive)] + [0.0] + positive)


def histogram(values: npt.NDArray[np.float64]) -> Proto:
    """The HistogramProto of finite values; a run of empty buckets is one bucket."""
    flat = values.reshape(-1)
    edges = limits()
    places = np.minimum(np.searchsorted(edges, flat, side="right"), len(edges) - 1)
    counts = np.bincount(places, minlength=len(edges))
    # An empty bucket is left out where the next one is empty too.
    kept = (counts > 0) | (np.append(counts[1:], 1) > 0)
    found = HistogramProto(num=float(flat.size))
    found.min = float(flat.min()) if flat.size else sys.float_info.max
    found.max = float(flat.max()) if flat.size else -sys.float_info.max
    if flat.size:
        # Summed in order, as a loop over the values does.
        found.sum = float(np.cumsum(flat)[-1])
        found.sum_squares = float(np.cumsum(flat * flat)[-1])
    found.bucket_limit.extend(edges[kept].tolist())
    found.bucket.extend(counts[kept].astype(np.float64).tolist())
    return found
