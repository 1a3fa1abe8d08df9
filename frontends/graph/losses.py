"""`tf.losses`: losses with weights, kept in a collection.

Weights broadcast against the elementwise loss; what is summed is divided as `reduction` says.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.graph_keys import GraphKeys, get_collection
from tensorkiln.frontends.graph.ops_constant import ones_like
from tensorkiln.frontends.graph.ops_elementwise import add_n, cast, multiply, subtract
from tensorkiln.frontends.graph.ops_loss import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
)
from tensorkiln.frontends.graph.ops_reduce import reduce_sum
from tensorkiln.frontends.graph.ops_shape import expand_dims, squeeze
from tensorkiln.frontends.graph.ops_special import div_no_nan
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import broadcast, compatible, show
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor


class Reduction:
    """How the weighted losses of elements become one number."""

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Every reduction."""
        return (
            cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, cls.SUM_BY_NONZERO_WEIGHTS,
        )  # fmt: skip

    @classmethod
    def validate(cls, key: str) -> None:
        """ValueError for what is no reduction."""
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key {key}.")


def add_loss(loss: Tensor, loss_collection: str | None = GraphKeys.LOSSES) -> None:
    """Adds a loss to a collection."""
    if loss_collection:
        get_default_graph().add_to_collection(loss_collection, loss)


def get_losses(scope: str | None = None, loss_collection: str = GraphKeys.LOSSES) -> list[object]:
    """The losses of a collection."""
    return get_collection(loss_collection, scope)


def get_regularization_losses(scope: str | None = None) -> list[object]:
    """The losses that regularizers of variables have made."""
    return get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


def get_regularization_loss(
    scope: str | None = None, name: str = "total_regularization_loss"
) -> Tensor:
    """The sum of the regularizers' losses."""
    found = get_regularization_losses(scope)
    return add_n(found, name=name) if found else convert_to_tensor(0.0)


def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """The sum of all losses (and regularizers' losses) of the collections."""
    found = get_losses(scope)
    if add_regularization_losses:
        found += get_regularization_losses(scope)
    return add_n(found, name=name)


def compute_weighted_loss(
    losses: object, weights: object = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The losses times the weights, reduced, and added to the collection.

    ValueError where weights neither have the losses' shape nor broadcast against it dim by dim.
    """
    Reduction.validate(reduction)
    with graph_of([losses, weights]).name_scope(scope or "weighted_loss"):
        values = convert_to_tensor(losses)
        kind = base(values)
        factors = cast(weights, dtypes.float32)
        _check_weights(factors, values)
        wide = cast(values, dtypes.float32)
        weighted = multiply(wide, factors)
        if reduction == Reduction.NONE:
            loss = weighted
        else:
            loss = reduce_sum(weighted)
            if reduction == Reduction.MEAN:
                spread = make("Mul", (ones_like(wide), factors))
                loss = div_no_nan(loss, reduce_sum(spread), name="value")
            elif reduction == Reduction.SUM_BY_NONZERO_WEIGHTS:
                loss = div_no_nan(loss, _present(wide, factors), name="value")
            elif reduction == Reduction.SUM_OVER_BATCH_SIZE:
                count = make("Size", (values,), out_type=dtypes.int32)
                loss = div_no_nan(loss, cast(count, dtypes.float32), name="value")
        result = cast(loss, kind)
        add_loss(result, loss_collection)
        return result


def _check_weights(weights: Tensor, values: Tensor) -> None:
    if weights.sizes is None or values.sizes is None or weights.sizes == ():
        return
    fits = len(weights.sizes) == len(values.sizes) and all(
        w in (1, None) or v is None or w == v
        for w, v in zip(weights.sizes, values.sizes, strict=True)
    )
    if not fits:
        raise ValueError(
            f"weights can not be broadcast to values. values.rank={len(values.sizes)}. "
            f"weights.rank={len(weights.sizes)}. values.shape={show(values.sizes)}. "
            f"weights.shape={show(weights.sizes)}."
        )
    broadcast(weights.sizes, values.sizes)


def _present(values: Tensor, weights: Tensor) -> Tensor:
    """How many elements have a weight that is not zero."""
    if weights.sizes == ():
        count = cast(make("Size", (values,), out_type=dtypes.int32), dtypes.float32)
        return make("Select", (make("Equal", (weights, 0.0)), count * 0.0, count))
    known = make("NotEqual", (weights, 0.0))
    ones = make("Mul", (ones_like(values), cast(known, dtypes.float32)))
    return reduce_sum(ones)


def _both(labels: object, predictions: object, name: str) -> tuple[Tensor, Tensor]:
    """Predictions and labels as floats of one shape; ValueError where they differ."""
    if labels is None:
        raise ValueError("labels must not be None.")
    if predictions is None:
        raise ValueError(f"{name} must not be None.")
    guess = cast(predictions, dtypes.float32)
    truth = cast(labels, dtypes.float32)
    if not compatible(guess.sizes, truth.sizes):
        raise ValueError(f"Shapes {show(guess.sizes)} and {show(truth.sizes)} are incompatible")
    return guess, truth


def _elementwise(label: str, formula: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def loss(
        labels: object, predictions: object, weights: object = 1.0, scope: str | None = None,
        loss_collection: str | None = GraphKeys.LOSSES,
        reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
    ) -> Tensor:  # fmt: skip
        with graph_of([predictions, labels, weights]).name_scope(scope or label) as inner:
            guess, truth = _both(labels, predictions, "predictions")
            values = formula(guess, truth)
            return compute_weighted_loss(values, weights, inner, loss_collection, reduction)

    loss.__name__ = label
    return loss


absolute_difference = _elementwise(
    "absolute_difference", lambda x, y: make("Abs", (subtract(x, y),))
)
mean_squared_error = _elementwise(
    "mean_squared_error", lambda x, y: make("SquaredDifference", (x, y))
)


def huber_loss(
    labels: object, predictions: object, weights: object = 1.0, delta: float = 1.0,
    scope: str | None = None, loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:  # fmt: skip
    """d * d / 2 for errors d up to `delta`, and delta * (d - delta / 2) beyond."""

    def formula(guess: Tensor, truth: Tensor) -> Tensor:
        size = make("Abs", (subtract(guess, truth),))
        square = make("Minimum", (size, delta))
        return 0.5 * square * square + delta * subtract(size, square)

    loss = _elementwise("huber_loss", formula)
    return loss(labels, predictions, weights, scope, loss_collection, reduction)


def log_loss(
    labels: object, predictions: object, weights: object = 1.0, epsilon: float = 1e-7,
    scope: str | None = None, loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:  # fmt: skip
    """-y log(p + epsilon) - (1 - y) log(1 - p + epsilon)."""

    def formula(guess: Tensor, truth: Tensor) -> Tensor:
        positive = multiply(truth, make("Log", (guess + epsilon,)))
        return -positive - multiply(1 - truth, make("Log", (1 - guess + epsilon,)))

    loss = _elementwise("log_loss", formula)
    return loss(labels, predictions, weights, scope, loss_collection, reduction)


def hinge_loss(
    labels: object, logits: object, weights: object = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:  # fmt: skip
    """max(1 - (2 y - 1) x, 0) for labels 0 and 1."""
    loss = _elementwise(
        "hinge_loss", lambda x, y: make("Relu", (subtract(1.0, multiply(2 * y - 1.0, x)),))
    )
    return loss(labels, logits, weights, scope, loss_collection, reduction)


def cosine_distance(
    labels: object, predictions: object, axis: int | None = None, weights: object = 1.0,
    scope: str | None = None, loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS, dim: int | None = None,
) -> Tensor:  # fmt: skip
    """1 - the sum of products along `axis`, for vectors of length one."""
    place = dim if axis is None else axis
    if place is None:
        raise ValueError("You must specify 'axis'.")
    loss = _elementwise(
        "cosine_distance_loss", lambda x, y: 1 - reduce_sum(multiply(x, y), place, True)
    )
    return loss(labels, predictions, weights, scope, loss_collection, reduction)


def mean_pairwise_squared_error(
    labels: object, predictions: object, weights: object = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
) -> Tensor:  # fmt: skip
    """For each row the mean over pairs of elements of the squared difference of their errors;
    summed over the rows."""
    with graph_of([predictions, labels, weights]).name_scope(
        scope or "mean_pairwise_squared_error"
    ):
        guess, truth = _both(labels, predictions, "predictions")
        factors = cast(weights, dtypes.float32)
        errors = subtract(guess, truth)
        axes = list(range(1, len(errors.sizes or ())))
        squares = reduce_sum(make("Square", (errors,)), axes, True)
        each = cast(make("Size", (errors,), out_type=dtypes.int32), dtypes.float32) / cast(
            make("Shape", (errors,), out_type=dtypes.int32)[0], dtypes.float32
        )
        first = 2.0 * div_no_nan(squares, make("Maximum", (each - 1, 0.0)), name="value")
        total = reduce_sum(errors, axes, True)
        pairs = make("Maximum", (each * (each - 1), 0.0))
        second = 2.0 * div_no_nan(make("Square", (total,)), pairs, name="value")
        loss = multiply(subtract(first, second), factors)
        present = _present(subtract(first, second), factors)
        total_loss = reduce_sum(loss)
        result = make("Select", (present > 0.0, total_loss, total_loss * 0.0), "value")
        add_loss(result, loss_collection)
        return result


def sigmoid_cross_entropy(
    multi_class_labels: object, logits: object, weights: object = 1.0, label_smoothing: float = 0,
    scope: str | None = None, loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The sigmoid cross-entropy; smoothing moves labels towards 1/2."""
    with graph_of([logits, multi_class_labels]).name_scope(
        scope or "sigmoid_cross_entropy_loss"
    ) as inner:
        scores = convert_to_tensor(logits)
        labels = cast(multi_class_labels, base(scores))
        if label_smoothing > 0:
            labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
        values = sigmoid_cross_entropy_with_logits(labels=labels, logits=scores, name="xentropy")
        return compute_weighted_loss(values, weights, inner, loss_collection, reduction)


def softmax_cross_entropy(
    onehot_labels: object, logits: object, weights: object = 1.0, label_smoothing: float = 0,
    scope: str | None = None, loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The softmax cross-entropy; smoothing moves labels towards 1 / classes."""
    with graph_of([logits, onehot_labels]).name_scope(
        scope or "softmax_cross_entropy_loss"
    ) as inner:
        scores = convert_to_tensor(logits)
        labels = cast(onehot_labels, base(scores))
        if label_smoothing > 0:
            classes = cast(make("Shape", (labels,), out_type=dtypes.int32)[-1], base(scores))
            labels = labels * (1 - label_smoothing) + label_smoothing / classes
        labels = make("StopGradient", (labels,), "labels_stop_gradient")
        values = softmax_cross_entropy_with_logits_v2(labels, scores, name="xentropy")
        return compute_weighted_loss(values, weights, inner, loss_collection, reduction)


def sparse_softmax_cross_entropy(
    labels: object, logits: object, weights: object = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The softmax cross-entropy for numbers of classes, [batch] or [batch, 1]."""
    with graph_of([logits, labels]).name_scope(
        scope or "sparse_softmax_cross_entropy_loss"
    ) as inner:
        scores, classes = convert_to_tensor(logits), convert_to_tensor(labels)
        factors = convert_to_tensor(weights)
        rank = len(scores.sizes or ()) - 1
        if classes.sizes is not None and len(classes.sizes) == rank + 1 and classes.sizes[-1] == 1:
            classes = squeeze(classes, [-1])
        if factors.sizes is not None and len(factors.sizes) == rank + 1 and rank >= 1:
            factors = squeeze(factors, [-1])
        elif factors.sizes is not None and factors.sizes and len(factors.sizes) == rank - 1:
            factors = expand_dims(factors, -1)
        values = sparse_softmax_cross_entropy_with_logits(
            labels=classes, logits=scores, name="xentropy"
        )
        return compute_weighted_loss(values, factors, inner, loss_collection, reduction)
