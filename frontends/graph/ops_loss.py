"""Cross-entropies and L2 losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS, NUMBERS
from tensorkiln.frontends.graph.index_checks import check_labels
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base, formula
from tensorkiln.frontends.graph.shapes import ShapeError, compatible, merge, show
from tensorkiln.frontends.graph.statics import static_integer
from tensorkiln.frontends.graph.tensor import Tensor


def _named_only(function: str, sentinel: object, labels: object, logits: object) -> None:
    if sentinel is not None:
        raise ValueError(
            f"Only call `{function}` with named arguments (labels=..., logits=..., ...)"
        )
    if labels is None or logits is None:
        raise ValueError("Both labels and logits must be provided.")


def softmax_cross_entropy_with_logits(
    _sentinel: object = None, labels: object = None, logits: object = None, dim: int = -1,
    name: str | None = None, axis: int | None = None,
) -> Tensor:  # fmt: skip
    """-sum(labels * log_softmax(logits)) of each row; no gradient flows to the labels."""
    _named_only("softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    with graph_of([labels, logits]).name_scope(name or "softmax_cross_entropy_with_logits_sg"):
        constant = make("StopGradient", (labels,), "labels_stop_gradient")
        place = dim if axis is None else axis
        return _cross_entropy(constant, logits, place)


def softmax_cross_entropy_with_logits_v2(
    labels: object, logits: object, axis: int | None = None, name: str | None = None,
    dim: int | None = None,
) -> Tensor:  # fmt: skip
    """-sum(labels * log_softmax(logits)) of each row."""
    place = dim if axis is None else axis
    scope_name = name or "softmax_cross_entropy_with_logits"
    with graph_of([labels, logits]).name_scope(scope_name):
        return _cross_entropy(labels, logits, -1 if place is None else place)


def _cross_entropy(labels: object, logits: object, axis: int) -> Tensor:
    scores = convert_to_tensor(logits, name="logits")
    targets = _as_floats(labels, scores)
    kind = "SoftmaxCrossEntropyWithLogits"
    # The name under which TensorFlow has the result: it reshapes rows and back.
    return apply_op(kind, (scores, targets), "Reshape_2", {"axis": axis}).outputs[0]


def _as_floats(labels: object, scores: Tensor) -> Tensor:
    """The labels in the dtype of the scores, whatever they are."""
    if isinstance(labels, Convertible):
        targets = labels._as_tensor()
        if base(targets) is not base(scores):
            return make("Cast", (targets,), "Cast", DstT=base(scores))
        return targets
    return convert_to_tensor(labels, base(scores), "labels")


def _cross_entropy_infer(op: Operation) -> Sequence[Result]:
    logits, labels = op.inputs
    if not compatible(logits.sizes, labels.sizes):
        raise ShapeError(
            f"logits and labels must have the same shape, got {show(logits.sizes)} and "
            f"{show(labels.sizes)}"
        )
    sizes = merge(logits.sizes, labels.sizes)
    if sizes is None:
        return [(base(logits), None)]
    place = op.integer("axis") % len(sizes)
    return [(base(logits), (*sizes[:place], *sizes[place + 1 :]))]


def _cross_entropy_lower(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[Value]:
    logits, labels = values
    axis = op.integer("axis") % len(logits.shape)
    return [lowering.builder.one("softmax_cross_entropy", (logits, labels), axis=axis)]


def sparse_softmax_cross_entropy_with_logits(
    _sentinel: object = None, labels: object = None, logits: object = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """-log_softmax(logits)[label] of each row; labels are class numbers."""
    _named_only("sparse_softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    scope_name = name or "SparseSoftmaxCrossEntropyWithLogits"
    with graph_of([labels, logits]).name_scope(scope_name):
        scores, targets = convert_to_tensor(logits), convert_to_tensor(labels)
        if scores.sizes is not None and targets.sizes is not None:
            if len(targets.sizes) != len(scores.sizes) - 1:
                raise ValueError(
                    f"Rank mismatch: Rank of labels (received {len(targets.sizes)}) should equal "
                    f"rank of logits minus 1 (received {len(scores.sizes)})."
                )
            if not compatible(targets.sizes, scores.sizes[:-1]):
                raise ValueError(
                    f"Shape mismatch: The shape of labels (received {show(targets.sizes)}) should "
                    f"equal the shape of logits except for the last dimension (received "
                    f"{show(scores.sizes)})."
                )
        kind = "SparseSoftmaxCrossEntropyWithLogits"
        return make(kind, (scores, targets))


def _sparse_infer(op: Operation) -> Sequence[Result]:
    logits, labels = op.inputs
    sizes = None if logits.sizes is None else logits.sizes[:-1]
    return [(base(logits), merge(sizes, labels.sizes))]


def _sparse_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder, (logits, labels) = lowering.builder, values
    axis = len(logits.shape) - 1
    if not _is_class(op.inputs[1], logits.shape[axis]):
        check_labels(lowering, op, labels, logits.shape[axis])
    logs = builder.one("log_softmax", (logits,), axis=axis)
    numbers = shorthand.iota(builder, logits.shape, axis, labels.dtype)
    spread = shorthand.broadcast_in_dim(builder, labels, logits.shape, range(axis))
    hit = shorthand.compare(builder, "EQ", numbers, spread)
    chosen = shorthand.select(builder, hit, logs, shorthand.zeros_like(builder, logs))
    total = shorthand.reduce_sum(builder, chosen, (axis,))
    return [builder.one("negate", (total,))]


def _is_class(labels: Tensor, classes: int) -> bool:
    """True if the labels are places of largest elements among that many."""
    op = labels.op
    while op.type in ("Cast", "Identity"):
        op = op.inputs[0].op
    sizes = op.inputs[0].sizes if op.type in ("ArgMax", "ArgMin") else None
    axis = static_integer(op.inputs[1]) if sizes is not None else None
    return sizes is not None and axis is not None and 0 < (sizes[axis] or 0) <= classes


def sigmoid_cross_entropy_with_logits(
    _sentinel: object = None, labels: object = None, logits: object = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """max(x, 0) - x * labels + log(1 + exp(-|x|)), element by element."""
    _named_only("sigmoid_cross_entropy_with_logits", _sentinel, labels, logits)
    with graph_of([labels, logits]).name_scope(name or "logistic_loss") as scope:
        scores = convert_to_tensor(logits, name="logits")
        targets = convert_to_tensor(labels, base(scores), "labels")
        if not compatible(scores.sizes, targets.sizes):
            raise ValueError(
                f"logits and labels must have the same shape ({show(scores.sizes)} vs "
                f"{show(targets.sizes)})"
            )
        return _logistic(scores, targets, 1.0, scope)


def weighted_cross_entropy_with_logits(
    targets: object, logits: object, pos_weight: object, name: str | None = None
) -> Tensor:
    """The sigmoid cross-entropy with positive labels weighted by `pos_weight`."""
    with graph_of([targets, logits]).name_scope(name or "logistic_loss") as scope:
        scores = convert_to_tensor(logits, name="logits")
        labels = convert_to_tensor(targets, base(scores), "targets")
        return _logistic(scores, labels, pos_weight, scope)


def _logistic(logits: Tensor, labels: Tensor, weight: object, scope: str) -> Tensor:
    return make("LogisticLoss", (logits, labels, weight), scope)


def _logistic_formula(x: Formula, z: Formula, weight: Formula) -> Formula:
    # (1 - z) x + (1 + (q - 1) z) (log(1 + exp(-|x|)) + max(-x, 0))
    small = (-x.apply("abs")).apply("exponential").apply("log_plus_one")
    below = (x.apply("abs") - x) * 0.5
    return (1.0 - z) * x + ((weight - 1.0) * z + 1.0) * (small + below)


def log_poisson_loss(
    targets: object, log_input: object, compute_full_loss: bool = False, name: str | None = None
) -> Tensor:
    """exp(c) - z c of the log of a rate c and a count z; with Stirling's z log z - z +
    log(2 pi z) / 2 for z > 1 if `compute_full_loss`."""
    with graph_of([targets, log_input]).name_scope(name or "log_poisson_loss"):
        rate = convert_to_tensor(log_input, name="log_input")
        count = convert_to_tensor(targets, base(rate), "targets")
        if not compatible(rate.sizes, count.sizes):
            raise ValueError(
                f"log_input and targets must have the same shape ({show(rate.sizes)} vs "
                f"{show(count.sizes)})"
            )
        loss = make("Sub", (make("Exp", (rate,)), rate * count), "sub")
        if not compute_full_loss:
            return loss
        stirling = count * make("Log", (count,)) - count
        stirling = stirling + 0.5 * make("Log", (count * (2.0 * math.pi),))
        counts = make("Greater", (count, 1.0))
        zeros = make("ZerosLike", (count,), dtype=base(count))
        return loss + make("Select", (counts, stirling, zeros))


def _merged(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), merge(op.inputs[0].sizes, op.inputs[1].sizes))]


def l2_loss(t: object, name: str | None = None) -> Tensor:
    """sum(t * t) / 2."""
    return make("L2Loss", (t,), name)


def _l2_formula(t: Formula) -> Formula:
    return (t * t).sum() * 0.5


_FLOAT = {"T": FLOATS}
register(
    OpKind("SoftmaxCrossEntropyWithLogits", "features:T labels:T", _cross_entropy_infer,
           _cross_entropy_lower, _FLOAT),
    OpKind("SparseSoftmaxCrossEntropyWithLogits", "features:T labels:index", _sparse_infer,
           _sparse_lower, _FLOAT),
    OpKind("LogisticLoss", "logits:T labels:T weight:T", _merged, formula(_logistic_formula),
           _FLOAT),
    OpKind("L2Loss", "t:T", lambda op: [(base(op.inputs[0]), ())], formula(_l2_formula),
           {"T": NUMBERS}),
)  # fmt: skip
