"""Non-maximum suppression: of boxes that overlap too much, the one with the highest score is kept.

With a `sigma` the scores of all boxes that overlap a kept one are lowered instead, whatever the
threshold (Bodla et al. 2017, "Soft-NMS").
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.int32]


def overlaps(box: Floats, others: Floats) -> Floats:
    """Intersection over union of a box (two corners in any order) with others; 0 without area."""
    low = np.minimum(box[:2], box[2:])
    high = np.maximum(box[:2], box[2:])
    lows = np.minimum(others[:, :2], others[:, 2:])
    highs = np.maximum(others[:, :2], others[:, 2:])
    area, areas = np.prod(high - low), np.prod(highs - lows, axis=1)
    sides = np.maximum(np.minimum(high, highs) - np.maximum(low, lows), np.float32(0))
    shared = np.prod(sides, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = shared / (area + areas - shared)
    result: Floats = np.where((area > 0) & (areas > 0), ratio, np.float32(0))
    return result


def kept_boxes(
    boxes: Floats,
    scores: Floats,
    limit: int,
    threshold: float,
    least: float = -np.inf,
    sigma: float = 0,
) -> tuple[Indices, Floats]:
    """The indices of at most `limit` boxes [n, 4], best first, and their scores.

    Boxes whose overlap with a kept one is above `threshold` are dropped, and so are those whose
    score is not above `least`.  Of equal scores the earlier box comes first.
    """
    waiting = [(-score, k, 0) for k, score in enumerate(scores.tolist()) if score > least]
    heapify(waiting)
    kept: list[int] = []
    found: list[float] = []
    while waiting and len(kept) < limit:
        negative, index, compared = heappop(waiting)
        score = np.float32(-negative)
        near = overlaps(boxes[index], boxes[kept[compared:]])[::-1]
        if sigma > 0:
            lowered = _lowered(score, near, least, sigma)
            if lowered == score:
                kept.append(index)
                found.append(float(score))
            elif lowered > least:
                heappush(waiting, (-float(lowered), index, len(kept)))
        elif not (near > np.float32(threshold)).any():
            kept.append(index)
            found.append(float(score))
    return np.array(kept, np.int32), np.array(found, np.float32)


def _lowered(score: np.float32, near: Floats, least: float, sigma: float) -> np.float32:
    scale = np.float32(-0.5) / np.float32(sigma)
    for overlap in near:
        score = np.float32(score * np.exp(scale * overlap * overlap))
        if score <= least:
            break
    return score
