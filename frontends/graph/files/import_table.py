"""Which op types of graph definitions can be read, and what becomes of them here.

Types of the op table are taken as they are; `BUILDERS` has those that go by another name, have
another form, or stand for several ops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.frontends.graph import (
    ctc_beam,
    dtypes,
    ops_apply_sparse,
    ops_incomplete,
    seq2seq_beam,
)
from tensorkiln.frontends.graph.files import (
    import_arrays,
    import_branches,
    import_cells,
    import_composed,
    import_lists,
    import_parts,
    import_regions,
    import_renamed,
    import_resources,
    ops_handle,
    ops_save,
)
from tensorkiln.frontends.graph.files.import_nodes import Build, Node, renamed, same_kind
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.signatures import MARK, PRIVATE
from tensorkiln.frontends.graph.kinds import TABLE
from tensorkiln.frontends.graph.statics import static_integer
from tensorkiln.frontends.graph.tensor import Tensor

FAMILIES = (ctc_beam, ops_apply_sparse, ops_handle, ops_incomplete, ops_save, seq2seq_beam)
"""Modules whose op types files hold whether or not the program has asked for them."""


def builder_of(definition: Proto) -> Build | None:
    """How to read a node, None if nodes of its type cannot be read.

    A private op type, one with another form in TensorFlow, is told by its mark.
    """
    op_type = str(definition.op)
    if op_type in PRIVATE and MARK not in definition.attr:
        return _FOREIGN.get(op_type)
    found = BUILDERS.get(op_type)
    if found is None and op_type in TABLE:
        return same_kind
    return found or import_composed.BUILDERS.get(op_type)


_FOREIGN: dict[str, Build] = {**import_arrays.BUILDERS, **import_parts.BUILDERS}


def _const(node: Node) -> Sequence[Tensor]:
    attributes = node.attributes()
    value = attributes["value"]
    if not isinstance(value, np.ndarray):
        raise ValueError("its value is no tensor")
    if node.definition.attr["dtype"].type != node.definition.attr["value"].tensor.dtype:
        raise ValueError("its value is not of its dtype")
    return node.operation("Const", (), attributes).outputs


def _identity(node: Node) -> Sequence[Tensor]:
    """The hidden reading op of a variable is known by its name."""
    if import_resources.is_handle(node):
        return import_resources.passed_on(node)
    source = node.inputs[0].op
    hidden = source.type == "VariableV2" and node.name == f"{source.name}/read"
    return node.operation("Identity", node.inputs, {"_read": True} if hidden else {}).outputs


def _nothing(node: Node) -> Sequence[Tensor]:
    return node.operation("Identity", node.inputs, {}).outputs


def _variable(node: Node) -> Sequence[Tensor]:
    attributes = node.attributes()
    kept = {"dtype": attributes["dtype"], "shape": attributes["shape"]}
    return node.operation("VariableV2", (), kept).outputs


def _gather(node: Node) -> Sequence[Tensor]:
    inputs = (*node.inputs, node.constant("axis", 0))
    return node.operation("GatherV2", inputs, {"batch_dims": 0}).outputs


def _concat(node: Node) -> Sequence[Tensor]:
    axis, *values = node.inputs
    return node.operation("ConcatV2", (*values, axis), {}).outputs


def _batch_norm(node: Node) -> Sequence[Tensor]:
    """Outputs 3 and 4 (and 5) are what a gradient would want: the statistics again."""
    attributes = {
        key: value
        for key, value in node.attributes().items()
        if key in ("epsilon", "data_format", "is_training")
    }
    y, mean, variance = node.operation("FusedBatchNorm", node.inputs, attributes).outputs[:3]
    return (y, mean, variance, mean, variance, variance)


def _in_top_k(node: Node) -> Sequence[Tensor]:
    k = node.constant("k", node.attributes()["k"])
    return node.operation("InTopK", (*node.inputs, k), {}).outputs


def _squeeze(node: Node) -> Sequence[Tensor]:
    """The attribute has gone by two names."""
    attributes = node.attributes()
    axes = attributes.get("axis") or attributes["squeeze_dims"]
    return node.operation("Squeeze", node.inputs, {"squeeze_dims": axes}).outputs


def _cross_entropy(node: Node) -> Sequence[Tensor]:
    """The second output is the gradient for the logits."""
    kind = node.type.removesuffix("WithLogits")
    loss = renamed(node.type)(node)[0]
    return (loss, node.helper("backprop", f"{kind}Backprop", node.inputs))


def _shape_n(node: Node) -> Sequence[Tensor]:
    attributes = {"out_type": node.attributes()["out_type"]}
    *first, last = node.inputs
    shapes = [node.helper(f"shape_{k}", "Shape", (t,), attributes) for k, t in enumerate(first)]
    return (*shapes, *node.operation("Shape", (last,), attributes).outputs)


def _results(node: Node) -> Sequence[Tensor]:
    """One op with all of the tensors, where one can have them; else one for each."""
    if not any(t.dtype.is_ref or t.dtype is dtypes.string for t in node.inputs):
        return node.operation("IdentityN", node.inputs, {}).outputs
    *first, last = (
        (tensor, "PassVariable" if tensor.dtype.is_ref else "Identity") for tensor in node.inputs
    )
    same = [node.helper(f"result_{k}", kind, (t,)) for k, (t, kind) in enumerate(first)]
    return (*same, *node.operation(last[1], (last[0],), {}).outputs)


def _split(node: Node) -> Sequence[Tensor]:
    attributes = node.attributes()
    if static_integer(node.inputs[0]) is None:
        raise ValueError("its axis is not known before it runs")
    return node.operation("Split", node.inputs, attributes).outputs


BUILDERS: dict[str, Build] = {
    **import_branches.BUILDERS,
    **import_cells.BUILDERS,
    **import_regions.BUILDERS,
    **import_arrays.COMPOSED,
    **import_lists.BUILDERS,
    **import_parts.COMPOSED,
    **import_renamed.BUILDERS,
    **import_resources.BUILDERS,
    **{name: renamed(kind) for name, kind in import_renamed.RENAMED.items()},
    "AddV2": renamed("AddV2" if "AddV2" in TABLE else "Add"),
    "BatchMatMulV2": renamed("BatchMatMulV2" if "BatchMatMulV2" in TABLE else "BatchMatMul"),
    "BiasAddV1": lambda node: (
        node.operation("BiasAdd", node.inputs, {"data_format": "NHWC"}).outputs
    ),
    "Concat": _concat,
    "Const": _const,
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "Gather": _gather,
    "Identity": _identity,
    "IdentityN": _results,
    "InTopK": _in_top_k,
    "InTopKV2": renamed("InTopK"),
    "PlaceholderV2": renamed("Placeholder"),
    "RefIdentity": _identity,
    "Results": _results,
    "ShapeN": _shape_n,
    "SoftmaxCrossEntropyWithLogits": _cross_entropy,
    "SparseSoftmaxCrossEntropyWithLogits": _cross_entropy,
    "Snapshot": _nothing,
    "Split": _split,
    "Squeeze": _squeeze,
    "VarHandleOp": _variable,
    "VarIsInitializedOp": renamed("IsVariableInitialized"),
    "Variable": _variable,
    "VariableV2": _variable,
}
"""Types that need more than an entry of the op table."""
