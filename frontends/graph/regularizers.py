"""Penalties on the size of weights."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence

from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.graph_keys import GraphKeys, get_collection
from tensorkiln.frontends.graph.ops_elementwise import add_n, multiply
from tensorkiln.frontends.graph.ops_loss import l2_loss
from tensorkiln.frontends.graph.ops_reduce import reduce_sum
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor

Regularizer = Callable[[object], Tensor | None]


def _check(scale: object) -> float:
    if isinstance(scale, numbers.Integral):
        raise ValueError(f"scale cannot be an integer: {scale}")
    if not isinstance(scale, numbers.Real):
        return float(scale)  # type: ignore[arg-type]
    if scale < 0.0:
        raise ValueError(f"Setting a scale less than 0 on a regularizer: {scale:g}.")
    return float(scale)


def l1_regularizer(scale: object, scope: str | None = None) -> Regularizer:
    """scale * sum(|w|); nothing for a scale of 0."""
    factor = _check(scale)
    if factor == 0.0:
        return lambda weights: None

    def l1(weights: object, name: str | None = None) -> Tensor:
        with name_scope(scope, "l1_regularizer", [weights]) as inner:
            tensor = convert_to_tensor(weights)
            number = convert_to_tensor(factor, tensor.dtype.base_dtype, "scale")
            return multiply(number, reduce_sum(make("Abs", (tensor,))), name=inner)

    return l1


def l2_regularizer(scale: object, scope: str | None = None) -> Regularizer:
    """scale * sum(w * w) / 2; nothing for a scale of 0."""
    factor = _check(scale)
    if factor == 0.0:
        return lambda weights: None

    def l2(weights: object) -> Tensor:
        with name_scope(scope, "l2_regularizer", [weights]) as inner:
            tensor = convert_to_tensor(weights)
            number = convert_to_tensor(factor, tensor.dtype.base_dtype, "scale")
            return multiply(number, l2_loss(tensor), name=inner)

    return l2


def sum_regularizer(
    regularizer_list: Sequence[Regularizer | None], scope: str | None = None
) -> Regularizer | None:
    """The sum of several penalties."""
    known = [regularizer for regularizer in regularizer_list if regularizer is not None]
    if not known:
        return None

    def total(weights: object) -> Tensor | None:
        with name_scope(scope, "sum_regularizer", [weights]) as inner:
            parts = [part for part in (one(weights) for one in known) if part is not None]
            return add_n(parts, name=inner) if parts else None

    return total


def l1_l2_regularizer(
    scale_l1: object = 1.0, scale_l2: object = 1.0, scope: str | None = None
) -> Regularizer | None:
    """Both penalties together."""
    label = scope or "l1_l2_regularizer"
    return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)], label)


def apply_regularization(
    regularizer: Regularizer, weights_list: Sequence[object] | None = None
) -> Tensor:
    """The sum of the penalties of the weights (of the collection WEIGHTS), kept as a loss."""
    weights = get_collection(GraphKeys.WEIGHTS) if not weights_list else list(weights_list)
    if not weights:
        raise ValueError("No weights to regularize.")
    with name_scope(None, "get_regularization_penalty", weights) as scope:
        parts = [regularizer(w) for w in weights]
        found = [convert_to_tensor(0.0) if part is None else part for part in parts]
        total = add_n(found, name=scope)
        get_default_graph().add_to_collection(GraphKeys.REGULARIZATION_LOSSES, total)
        return total


def no_regularizer(_: object) -> None:
    """No penalty, where the variable scope has one."""
    return
