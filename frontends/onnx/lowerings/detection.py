"""NonMaxSuppression: which boxes are left; how many, only a run knows."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import F32, I64
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops.bounded_boxes import Suppression, centered, non_max_suppression
from tensorkiln.compiler.ops.shorthand import binary, reshape, scalar
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.operand import Bounded, Extent
from tensorkiln.frontends.onnx.table import Lowering


def _scalar(node: Node, index: int, name: str) -> Value:
    """An input of one element as a scalar."""
    operand = node.operand(index)
    if operand.type.elements != 1:
        raise node.invalid(f"its {name} has shape {list(operand.shape)}, not one element")
    return reshape(node.builder, operand.value(node.builder), ())


def _non_max_suppression(node: Node) -> Bounded:
    builder, boxes, scores = node.builder, node.value(0), node.value(1)
    if boxes.type.rank != 3 or scores.type.rank != 3 or boxes.shape[2] != 4:
        raise node.invalid(
            f"boxes are {boxes.type}, not [batch, boxes, 4], or scores {scores.type}"
        )
    batches, _, count = scores.shape
    if boxes.shape[:2] != (batches, count):
        raise node.invalid(f"boxes {boxes.type} do not go with scores {scores.type}")
    bound, most = count, scalar(builder, 0, I64)
    if node.has(2):
        most = _scalar(node, 2, "max_output_boxes_per_class")
        most = binary(builder, "maximum", most, scalar(builder, 0, I64))
        known: Array | None = node.operand(2).known
        if known is not None:
            bound = min(max(int(known.reshape(())), 0), count)
    else:
        bound = 0
    overlap = _scalar(node, 3, "iou_threshold") if node.has(3) else scalar(builder, 0, F32)
    score = _scalar(node, 4, "score_threshold") if node.has(4) else None
    if node.integer("center_point_box"):
        boxes = centered(builder, boxes)
    rule = Suppression(most, overlap, score, bound)
    rows, number = non_max_suppression(builder, boxes, scores, rule)
    return Bounded(rows, Extent(0, number))


LOWERINGS = (Lowering("NonMaxSuppression", _non_max_suppression, 10),)
