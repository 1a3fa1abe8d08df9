"""Losses over many classes of which only a few are looked at.

Gutmann, Hyvarinen: Noise-contrastive estimation (2010); Jean, Cho, Memisevic, Bengio: On Using
Very Large Target Vocabulary for Neural Machine Translation (2015).
"""

from __future__ import annotations

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.candidate_sampling import (
    Candidates,
    log_uniform_candidate_sampler,
)  # fmt: skip
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.embedding import embedding_lookup, tables_of
from tensorkiln.frontends.graph.ops_elementwise import cast, log
from tensorkiln.frontends.graph.ops_loss import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_matmul import matmul
from tensorkiln.frontends.graph.ops_reduce import reduce_sum
from tensorkiln.frontends.graph.ops_shape import reshape
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor

_ACCIDENT = -1e37  # a logit that stands for a class which is a true one by accident


def sampled_softmax_loss(
    weights: object, biases: object, labels: object, inputs: object, num_sampled: int,
    num_classes: int, num_true: int = 1, sampled_values: Candidates | None = None,
    remove_accidental_hits: bool = True, partition_strategy: str = "mod",
    name: str = "sampled_softmax_loss", seed: int | None = None,
) -> Tensor:  # fmt: skip
    """The softmax cross-entropy over the true classes and `num_sampled` others, a number a row."""
    logits, targets = _sampled_logits(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, True,
        remove_accidental_hits, partition_strategy, name, seed,
    )  # fmt: skip
    targets = make("StopGradient", (targets,), "labels_stop_gradient")
    return softmax_cross_entropy_with_logits_v2(labels=targets, logits=logits)


def nce_loss(
    weights: object, biases: object, labels: object, inputs: object, num_sampled: int,
    num_classes: int, num_true: int = 1, sampled_values: Candidates | None = None,
    remove_accidental_hits: bool = False, partition_strategy: str = "mod", name: str = "nce_loss",
) -> Tensor:  # fmt: skip
    """Noise-contrastive estimation: logistic losses of true against drawn classes, a number a
    row."""
    logits, targets = _sampled_logits(
        weights, biases, labels, inputs, num_sampled, num_classes, num_true, sampled_values, True,
        remove_accidental_hits, partition_strategy, name, None,
    )  # fmt: skip
    losses = sigmoid_cross_entropy_with_logits(labels=targets, logits=logits, name="sampled_losses")
    return reshape(reduce_sum(losses, 1, True), [-1])


def _sampled_logits(
    weights: object, biases: object, labels: object, inputs: object, num_sampled: int,
    num_classes: int, num_true: int, sampled_values: Candidates | None, subtract_log_q: bool,
    remove_accidental_hits: bool, partition_strategy: str, name: str, seed: int | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Logits of the true and of the drawn classes side by side, and their labels."""
    tables, offsets = tables_of(weights), tables_of(biases)
    with name_scope(name, "compute_sampled_logits", [*tables, *offsets, inputs, labels]):
        classes = cast(labels, dtypes.int64)
        flat = reshape(classes, [-1])
        drawn = sampled_values or log_uniform_candidate_sampler(
            classes, num_true, num_sampled, True, num_classes, seed
        )
        candidates, *counts = drawn
        true_count, drawn_count = (make("StopGradient", (count,)) for count in counts)
        drawn_classes = make("StopGradient", (cast(candidates, dtypes.int64),))
        ids = make("ConcatV2", ([flat, drawn_classes], 0))
        rows = embedding_lookup(tables, ids, partition_strategy)
        shifts = embedding_lookup(offsets, ids, partition_strategy)
        count = make("Size", (flat,), out_type=dtypes.int32)
        features = convert_to_tensor(inputs)
        true_rows = reshape(rows[:count], make("Pack", ([-1, num_true, _width(features)],), axis=0))
        true_logits = reduce_sum(make("ExpandDims", (features, 1)) * true_rows, 2)
        true_logits = true_logits + reshape(shifts[:count], [-1, num_true])
        drawn_logits = matmul(features, rows[count:], transpose_b=True) + shifts[count:]
        if remove_accidental_hits:
            drawn_logits = drawn_logits + _accidents(classes, drawn_classes, base(features))
        if subtract_log_q:
            true_logits = true_logits - log(true_count)
            drawn_logits = drawn_logits - log(drawn_count)
        logits = make("ConcatV2", ([true_logits, drawn_logits], 1), "concat")
        share = make("OnesLike", (true_logits,), dtype=base(features)) / num_true
        zeros = make("ZerosLike", (drawn_logits,), dtype=base(features))
        return logits, make("ConcatV2", ([share, zeros], 1))


def _width(features: Tensor) -> object:
    known = None if features.sizes is None else features.sizes[1]
    return make("Shape", (features,), out_type=dtypes.int32)[1] if known is None else known


def _accidents(true_classes: Tensor, drawn: Tensor, dtype: dtypes.DType) -> Tensor:
    """A very low number where a drawn class is one of the row's true ones, else 0."""
    hits = make("Equal", (make("ExpandDims", (true_classes, 2)), drawn))
    hit = make("Any", (hits, [1]), keep_dims=False)
    return make("Cast", (hit,), DstT=dtype) * _ACCIDENT
