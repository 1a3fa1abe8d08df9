"""Segments, partitions and stitched tensors of TensorFlow's graphs.

Ours have hidden inputs: the number of segments, or places, which the host computes where they do
not follow from shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.files.import_nodes import Build, Node
from tensorkiln.frontends.graph.kinds import TABLE
from tensorkiln.frontends.graph.statics import static_array
from tensorkiln.frontends.graph.tensor import Tensor


def _count(node: Node, ids: Tensor) -> Tensor:
    """The number of segments of sorted ids."""
    known = static_array(ids)
    if known is not None and known.ndim == 1:
        return node.constant("segments", int(known[-1]) + 1 if known.size else 0)
    return node.helper("segments", "SegmentCount", (ids,))


def _segment(node: Node) -> Sequence[Tensor]:
    inputs = (*node.inputs, _count(node, node.inputs[-1]))
    return node.operation(node.type, inputs, {}).outputs


def _sparse_gradient(node: Node) -> Sequence[Tensor]:
    """Rows of the gradient, by weight, added up where their data came from."""
    gradient, places, ids, size = node.inputs
    axis = node.constant("axis", 0)
    if node.type != "SparseSegmentSumGrad":
        shape = node.helper("shape", "Shape", (gradient,), {"out_type": size.dtype.base_dtype})
        first = node.helper("rows", "GatherV2", (shape, axis, axis), {"batch_dims": 0})
        ones = node.helper("ones", "OnesLike", (ids,), {"dtype": gradient.dtype.base_dtype})
        number = node.helper("count", "UnsortedSegmentSum", (ones, ids, first))
        if node.type == "SparseSegmentSqrtNGrad":
            number = node.helper("sqrt", "Sqrt", (number,))
        least = node.helper("least", "Maximum", (number, node.helper("one", "OnesLike", (number,),
                            {"dtype": number.dtype.base_dtype})))  # fmt: skip
        column = node.helper("column", "ExpandDims", (least, node.constant("last", -1)))
        for k in range(len(gradient.sizes or (0, 0)) - 2):
            column = node.helper(f"column_{k}", "ExpandDims", (column, node.constant(f"l{k}", -1)))
        gradient = node.helper("weighted", "RealDiv", (gradient, column))
    rows = node.helper("gathered", "GatherV2", (gradient, ids, axis), {"batch_dims": 0})
    return node.operation("UnsortedSegmentSum", (rows, places, size), {}).outputs


def _partition(node: Node) -> Sequence[Tensor]:
    options = {"num_partitions": node.attributes()["num_partitions"]}
    data, parts = node.inputs
    places = node.graph.create_op(
        TABLE["PartitionPlaces"], (parts,), options, f"{node.name}/places/"
    ).outputs
    return node.operation("DynamicPartition", (data, parts, *places), options).outputs


def _stitch(node: Node) -> Sequence[Tensor]:
    count = len(node.inputs) // 2
    places, data = node.inputs[:count], node.inputs[count:]
    if data[0].dtype.is_integer and all(_follows_from_shapes(place) for place in places):
        return node.operation("ShapeStitch", node.inputs, {"N": count}).outputs
    sources = node.helper("sources", "StitchSources", places)
    return node.operation(node.type, (*node.inputs, sources), {"N": count}).outputs


_SHAPES = frozenset(("Const", "Rank", "Shape", "ShapeN", "Size"))
_ARITHMETIC = frozenset(
    (
        "Add", "AddV2", "Cast", "ConcatV2", "FloorDiv", "FloorMod", "Identity", "Maximum", "Mul",
        "Pack", "Range", "Reshape", "Sub",
    )
)  # fmt: skip


def _follows_from_shapes(tensor: Tensor) -> bool:
    waiting, seen = [tensor], {tensor}
    while waiting:
        op = waiting.pop().op
        if op.type in _SHAPES:
            continue
        if op.type not in _ARITHMETIC:
            return False
        waiting += [t for t in op.inputs if t not in seen]
        seen.update(op.inputs)
    return True


BUILDERS: dict[str, Build] = {
    "DynamicPartition": _partition,
    "DynamicStitch": _stitch,
    "ParallelDynamicStitch": _stitch,
    **{f"Segment{kind}": _segment for kind in ("Max", "Mean", "Min", "Prod", "Sum")},
    **{f"SparseSegment{kind}": _segment for kind in ("Mean", "SqrtN", "Sum")},
}
"""How TensorFlow's nodes of these types are read; those of our own are taken as they are."""

COMPOSED: dict[str, Build] = {
    f"SparseSegment{kind}Grad": _sparse_gradient for kind in ("Mean", "SqrtN", "Sum")
}
"""Types that stand for several ops here."""
