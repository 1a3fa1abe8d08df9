"""A single-shot detector: backbone, boxes from anchors, class scores, NonMaxSuppression.

The form is that of SSD (Liu et al., SSD: Single shot multibox detector, 2016) with sigmoid scores
(Lin et al., Focal loss for dense object detection, 2017), on one feature map.  How many detections
there are, only a run knows.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from tensorkiln.benchmarks.models.builder import ModelBuilder
from tensorkiln.benchmarks.models.sequence_builder import SequenceBuilder

_SCALES = (2.0, 4.0, 6.0)  # of the anchors of one cell, in cells
_STRIDE = 8


def detector(
    batch: int = 1,
    seed: int = 0,
    size: int = 320,
    classes: int = 20,
    width: int = 32,
    candidates: int = 400,
    kept: int = 50,
) -> ModelProto:
    """image f32[batch, 3, size, size] -> boxes f32[n, 4], scores f32[n], labels i64[n], images
    i64[n].

    Of the anchors the `candidates` best ones of each image are looked at, and at most `kept` of
    them are detections of one class.  Boxes are (y, x, y, x) in pixels.
    """
    b = SequenceBuilder("detector", batch, seed)
    b.input("image", (3, size, size))
    cells = size // _STRIDE
    features = _backbone(b, "image", width)
    anchors = len(_SCALES)
    deltas = _head(b, features, "boxes", (width * 4, anchors, 4))
    logits = _head(b, features, "classes", (width * 4, anchors, classes))
    boxes = _decoded(b, deltas, cells)
    scores = b.node("Sigmoid", [logits], "classes")
    boxes, scores = _best(b, boxes, scores, min(candidates, cells * cells * anchors))
    _detections(b, boxes, b.node("Transpose", [scores], "by_class", perm=[0, 2, 1]), kept)
    return b.finished()


def _backbone(b: ModelBuilder, x: str, width: int) -> str:
    """Three halvings of the image."""
    channels = (3, width, width * 2, width * 4)
    for k in range(3):
        path = f"backbone/stage{k}"
        x = b.conv(x, f"{path}/down", (channels[k], channels[k + 1]), 3, 2, 1, bias=True)
        x = b.relu(x, f"{path}/down")
        x = b.conv(x, f"{path}/same", (channels[k + 1],) * 2, 3, 1, 1, bias=True)
        x = b.relu(x, f"{path}/same")
    return x


def _head(b: SequenceBuilder, x: str, path: str, sizes: tuple[int, int, int]) -> str:
    """`each` numbers for every anchor, as [batch, cells * anchors, each]."""
    inner, anchors, each = sizes
    x = b.conv(x, f"{path}/conv", (inner, anchors * each), 3, 1, 1, bias=True)
    x = b.node("Transpose", [x], path, perm=[0, 2, 3, 1])
    return b.node("Reshape", [x, b.integers(f"{path}.shape", 0, -1, each)], path)


def _decoded(b: SequenceBuilder, deltas: str, cells: int) -> str:
    """Boxes around anchors: centers are moved in units of the anchor, sides are stretched."""
    centers = (np.arange(cells, dtype=np.float32) + 0.5) * _STRIDE
    y, x, side = np.meshgrid(centers, centers, np.array(_SCALES) * _STRIDE, indexing="ij")
    middle = np.stack([y, x], -1).reshape(-1, 2).astype(np.float32)
    b.weight("anchors.center", middle)
    b.weight("anchors.side", side.reshape(-1, 1).astype(np.float32))
    fifth = b.number("fifth", 0.2)
    parts = [f"deltas.{k}" for k in ("move", "stretch")]
    b.nodes.append(helper.make_node("Split", [deltas], parts, "/boxes/Split", axis=2))
    small = [b.node("Mul", [part, fifth], f"boxes/{part}") for part in parts]
    moved = b.node("Mul", [small[0], "anchors.side"], "boxes/move")
    center = b.node("Add", [moved, "anchors.center"], "boxes/center")
    stretched = b.node("Mul", [b.node("Exp", [small[1]], "boxes"), "anchors.side"], "boxes/side")
    half = b.node("Mul", [stretched, b.number("half", 0.5)], "boxes/half")
    corners = [b.node(kind, [center, half], "boxes/corner") for kind in ("Sub", "Add")]
    return b.node("Concat", corners, "boxes", axis=2)


def _best(b: SequenceBuilder, boxes: str, scores: str, count: int) -> tuple[str, str]:
    """Boxes and scores of the `count` anchors with the highest score of any class."""
    highest = b.node("ReduceMax", [scores], "best", axes=[2], keepdims=0)
    names = ["best.scores", "best.places"]
    k = b.integers("best.count", count)
    b.nodes.append(helper.make_node("TopK", [highest, k], names, "/best/TopK", axis=1))
    places = b.node("Unsqueeze", [names[1], b.integers("last", 2)], "best")
    found = []
    for values, path in ((boxes, "best/boxes"), (scores, "best/scores")):
        found.append(b.node("GatherND", [values, places], path, batch_dims=1))
    return found[0], found[1]


def _detections(b: SequenceBuilder, boxes: str, scores: str, kept: int) -> None:
    """The outputs, all by rows (image, class, box) of what NonMaxSuppression keeps."""
    b.weight("nms.iou", np.array([0.5], np.float32))
    b.weight("nms.score", np.array([0.6], np.float32))
    inputs = [boxes, scores, b.integers("nms.most", kept), "nms.iou", "nms.score"]
    rows = b.node("NonMaxSuppression", inputs, "nms")
    columns = [
        b.node("Gather", [rows, b.weight(f"column.{k}", np.array(k, np.int64))], f"c{k}", axis=1)
        for k in range(3)
    ]
    last = b.integers("tuples", 1)
    pair = [b.node("Unsqueeze", [columns[k], last], f"where/{k}") for k in (0, 2)]
    where = b.node("Concat", pair, "where", axis=1)
    found = {
        "boxes": b.node("GatherND", [boxes, where], "found/boxes"),
        "scores": b.node("GatherND", [scores, rows], "found/scores"),
        "labels": b.node("Identity", [columns[1]], "found/labels"),
        "images": b.node("Identity", [columns[0]], "found/images"),
    }
    for name, value in found.items():
        shape = ("detections", 4) if name == "boxes" else ("detections",)
        kind = TensorProto.INT64 if name in ("labels", "images") else TensorProto.FLOAT
        b.nodes.append(helper.make_node("Identity", [value], [name], f"/{name}"))
        b.outputs.append(helper.make_tensor_value_info(name, kind, shape))
