"""Boxes in images: those that overlap too much dropped, and parts of images cut out.

Both run on the host: how many boxes are kept follows from their values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tensorkiln.frontends.graph.apply import apply_op, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import NUMBERS, DType, float16, float32, int32
from tensorkiln.frontends.graph.errors import OutOfRangeError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.image.suppression import Floats, kept_boxes
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.shapes import ShapeError, brackets
from tensorkiln.frontends.graph.statics import static_integer, static_integers
from tensorkiln.frontends.graph.tensor import Tensor

_KIND = "non_max_suppression"
Indices: TypeAlias = npt.NDArray[np.int64]


def non_max_suppression(
    boxes: object,
    scores: object,
    max_output_size: object,
    iou_threshold: object = 0.5,
    score_threshold: object = float("-inf"),
    name: str | None = None,
) -> Tensor:
    """The indices of the boxes [n, 4] that are kept, best first, at most `max_output_size`."""
    inputs = (boxes, scores, max_output_size, iou_threshold, score_threshold)
    with name_scope(name, _KIND):
        return make("NonMaxSuppressionV3", inputs)


def non_max_suppression_with_scores(
    boxes: object,
    scores: object,
    max_output_size: object,
    iou_threshold: object = 0.5,
    score_threshold: object = float("-inf"),
    soft_nms_sigma: object = 0.0,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The indices of the boxes that are kept, and their scores, lowered if there is a sigma."""
    inputs = (boxes, scores, max_output_size, iou_threshold, score_threshold, soft_nms_sigma)
    with name_scope(name, f"{_KIND}_with_scores"):
        options = {"pad_to_max_output_size": False}
        chosen, found, _ = apply_op("NonMaxSuppressionV5", inputs, None, options).outputs
    return chosen, found


def non_max_suppression_padded(
    boxes: object,
    scores: object,
    max_output_size: object,
    iou_threshold: object = 0.5,
    score_threshold: object = float("-inf"),
    pad_to_max_output_size: bool = False,
    name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The indices of the boxes that are kept, zeros after them if wanted, and how many they are."""
    inputs = (boxes, scores, max_output_size, iou_threshold, score_threshold)
    with name_scope(name, f"{_KIND}_padded"):
        options = {"pad_to_max_output_size": pad_to_max_output_size}
        chosen, count = apply_op("NonMaxSuppressionV4", inputs, None, options).outputs
    return chosen, count


def crop_and_resize(
    image: object,
    boxes: object,
    box_ind: object = None,
    crop_size: object = None,
    method: str = "bilinear",
    extrapolation_value: float = 0,
    name: str | None = None,
    box_indices: object = None,
) -> Tensor:
    """Parts of images [n, *crop_size, channels], float32: `boxes` (y1, x1, y2, x2 in 0 to 1) of the
    images numbered `box_ind`, sampled bilinearly or to the nearest."""
    numbers = box_ind if box_indices is None else box_indices
    return make(
        "CropAndResize", (image, boxes, numbers, crop_size), name, method=method,
        extrapolation_value=float(extrapolation_value),
    )  # fmt: skip


def _boxes_infer(op: Operation) -> Sequence[Result]:
    boxes, scores = op.inputs[0].sizes, op.inputs[1].sizes
    for sizes, rank in ((boxes, 2), (scores, 1)):
        if sizes is not None and len(sizes) != rank:
            raise ShapeError(f"Shape must be rank {rank} but is rank {len(sizes)}")
    if boxes is not None:
        if scores is not None and None not in (boxes[0], scores[0]) and boxes[0] != scores[0]:
            raise ShapeError(f"Dimensions must be equal, but are {boxes[0]} and {scores[0]}")
        if boxes[1] not in (4, None):
            raise ShapeError(f"Dimension must be 4 but is {boxes[1]}")
    for tensor in op.inputs[2:]:
        if tensor.sizes not in ((), None):
            raise ShapeError(f"Shape must be rank 0 but is rank {len(tensor.sizes or ())}")
    limit = static_integer(op.inputs[2]) if op.flag("pad_to_max_output_size") else None
    kind = base(op.inputs[1])
    results: dict[str, list[Result]] = {
        "V4": [(int32, (limit,)), (int32, ())],
        "V5": [(int32, (limit,)), (kind, (limit,)), (int32, ())],
    }
    return results.get(op.type[-2:], [(int32, (None,))])


def _boxes_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    boxes, scores, limit, *rest = arrays
    given = [float(number) for number in rest]
    if "iou_threshold" in op.attributes:
        given = [float(str(op.attributes["iou_threshold"]))]
    threshold, least, sigma = (*given, *(-np.inf, 0.0)[len(given) - 1 :])
    if int(limit) < 0:
        raise invalid(op, "output size must be non-negative")
    if not 0 <= threshold <= 1:
        raise invalid(op, "iou_threshold must be in [0, 1]")
    if sigma < 0:
        raise invalid(op, "soft_nms_sigma must be >= 0")
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise invalid(
            op, f"boxes of shape {brackets(boxes.shape)} and scores of shape "
            f"{brackets(scores.shape)} must be n times 4 and n",
        )  # fmt: skip
    kept, found = kept_boxes(
        boxes.astype(np.float32), scores.astype(np.float32), int(limit), threshold, least, sigma
    )
    count = np.int32(len(kept))
    if op.flag("pad_to_max_output_size"):
        rest_of = (0, int(limit) - len(kept))
        kept, found = np.pad(kept, rest_of), np.pad(found, rest_of)
    scored = found.astype(scores.dtype)
    return {"V4": [kept, count], "V5": [kept, scored, count]}.get(op.type[-2:], [kept])


def _crop_infer(op: Operation) -> Sequence[Result]:
    image, boxes, numbers, size = op.inputs
    if op.text("method") not in ("bilinear", "nearest"):
        raise ShapeError(f"method must be 'bilinear' or 'nearest', got '{op.text('method')}'")
    for tensor, rank in ((image, 4), (boxes, 2), (numbers, 1), (size, 1)):
        if tensor.sizes is not None and len(tensor.sizes) != rank:
            raise ShapeError(f"Shape must be rank {rank} but is rank {len(tensor.sizes)}")
    if boxes.sizes is not None and boxes.sizes[1] not in (4, None):
        raise ShapeError(f"Dimension must be 4 but is {boxes.sizes[1]}")
    counts = {t.sizes[0] for t in (boxes, numbers) if t.sizes is not None} - {None}
    if len(counts) > 1:
        raise ShapeError(f"Dimensions must be equal, but are {' and '.join(map(str, counts))}")
    wanted = static_integers(size) or (None, None)
    channels = None if image.sizes is None else image.sizes[3]
    return [(float32, (next(iter(counts), None), *wanted, channels))]


def _crop_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    image, boxes, numbers, size = arrays
    if min(size) < 1:
        raise invalid(op, "crop dimensions must be positive")
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(image)):
        raise OutOfRangeError(op.name, op, f"box_index has values outside [0, batch_size)\n\t {op.node_text}")  # fmt: skip
    outside = np.float32(float(str(op.attributes["extrapolation_value"])))
    whole = image.astype(np.float32)
    height, width = (int(n) for n in size)
    result = np.full((len(boxes), height, width, image.shape[3]), outside, np.float32)
    for k, (y1, x1, y2, x2) in enumerate(boxes.astype(np.float32)):
        rows, columns = (
            _places(y1, y2, height, image.shape[1]),
            _places(x1, x2, width, image.shape[2]),
        )
        inside = _inside(rows, image.shape[1])[:, None] & _inside(columns, image.shape[2])
        sampled = _SAMPLERS[op.text("method")](whole[numbers[k]], rows, columns)
        result[k] = np.where(inside[..., None], sampled, outside)
    return [result]


def _places(low: np.float32, high: np.float32, count: int, length: int) -> Floats:
    """Where the pixels of a crop lie along one dim of the image."""
    last = np.float32(length - 1)
    if count == 1:
        return np.array([np.float32(0.5) * (low + high) * last])
    step = (high - low) * last / np.float32(count - 1)
    result: Floats = low * last + np.arange(count, dtype=np.float32) * step
    return result


def _inside(places: Floats, length: int) -> npt.NDArray[np.bool_]:
    return (places >= 0) & (places <= length - 1)


def _bilinear(image: Floats, rows: Floats, columns: Floats) -> Floats:
    top, bottom = _between(rows, image.shape[0])
    left, right = _between(columns, image.shape[1])
    across = (columns - np.floor(columns)).astype(np.float32)[:, None]
    down = (rows - np.floor(rows)).astype(np.float32)[:, None, None]

    def line(index: Indices) -> Floats:
        row = image[index]
        result: Floats = row[:, left] + (row[:, right] - row[:, left]) * across
        return result

    above = line(top)
    return above + (line(bottom) - above) * down


def _between(places: Floats, length: int) -> tuple[Indices, Indices]:
    low, high = np.floor(places).astype(int), np.ceil(places).astype(int)
    return np.clip(low, 0, length - 1), np.clip(high, 0, length - 1)


def _nearest(image: Floats, rows: Floats, columns: Floats) -> Floats:
    """Halves go away from zero."""
    chosen = [
        np.clip(np.floor(places + np.float32(0.5)).astype(int), 0, length - 1)
        for places, length in ((rows, image.shape[0]), (columns, image.shape[1]))
    ]
    return image[np.ix_(*chosen)]


_SAMPLERS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "bilinear": _bilinear,
    "nearest": _nearest,
}
_FLOATS: dict[str, tuple[DType, ...]] = {"T": (float16, float32), "U": (float16, float32)}


def _suppression(version: str, inputs: str) -> OpKind:
    return OpKind(
        f"NonMaxSuppression{version}", f"boxes:T scores:T max_output_size:int32 {inputs}".strip(),
        _boxes_infer, host_only, _FLOATS, differentiable=False, host=_boxes_host,
    )  # fmt: skip


register(
    _suppression("", ""),
    _suppression("V2", "iou_threshold:U"),
    _suppression("V3", "iou_threshold:U score_threshold:U"),
    _suppression("V4", "iou_threshold:U score_threshold:U"),
    _suppression("V5", "iou_threshold:T score_threshold:T soft_nms_sigma:T"),
    OpKind("CropAndResize", "image:T boxes:float32 box_ind:int32 crop_size:int32", _crop_infer,
           host_only, {"T": NUMBERS}, differentiable=False, host=_crop_host),
)  # fmt: skip
