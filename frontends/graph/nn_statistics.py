"""Moments from parts, weighted moments, and batch normalisation's older form."""

from __future__ import annotations

import numpy as np

from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.ops_elementwise import add, multiply, squared_difference, subtract
from tensorkiln.frontends.graph.ops_normalize import batch_normalization
from tensorkiln.frontends.graph.ops_reduce import reduce_sum
from tensorkiln.frontends.graph.ops_shape import squeeze
from tensorkiln.frontends.graph.rules import axis_in, base
from tensorkiln.frontends.graph.tensor import Tensor


def sufficient_statistics(
    x: object, axes: object, shift: object = None, keep_dims: bool | None = None,
    name: str | None = None, keepdims: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:  # fmt: skip
    """Over `axes` the count, the sum and the sum of squares of x - shift, and the shift."""
    keep = bool(keep_dims) or bool(keepdims)
    places = [int(axis) for axis in np.atleast_1d(np.asarray(axes))]
    with graph_of([x, shift]).name_scope(name or "sufficient_statistics"):
        tensor = convert_to_tensor(x, name="x")
        sizes = tensor.sizes or ()
        folded = [sizes[axis_in(axis, sizes)] for axis in places] if sizes else [None]
        if None in folded:
            shape = make("Shape", (tensor,), out_type=base(convert_to_tensor(1)))
            count = make(
                "Cast",
                (make("Prod", (make("GatherV2", (shape, places, 0)), [0]), keep_dims=False),),
                DstT=base(tensor),
            )
        else:
            number = np.prod([size for size in folded if size is not None])
            count = convert_to_tensor(float(number), base(tensor))
        if shift is None:
            return (
                count, reduce_sum(tensor, places, keep, name="mean_ss"),
                reduce_sum(make("Square", (tensor,)), places, keep, name="var_ss"), None,
            )  # fmt: skip
        moved = convert_to_tensor(shift, base(tensor), "shift")
        return (
            count, reduce_sum(subtract(tensor, moved), places, keep, name="mean_ss"),
            reduce_sum(squared_difference(tensor, moved), places, keep, name="var_ss"), moved,
        )  # fmt: skip


def normalize_moments(
    counts: object, mean_ss: object, variance_ss: object, shift: object, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance from sufficient statistics."""
    with graph_of([counts, mean_ss, variance_ss, shift]).name_scope(name or "normalize"):
        divisor = make("Reciprocal", (convert_to_tensor(counts),), "divisor")
        if shift is None:
            mean = shifted = multiply(mean_ss, divisor, name="mean")
        else:
            shifted = multiply(mean_ss, divisor, name="shifted_mean")
            mean = add(shifted, shift, name="mean")
        squares = multiply(variance_ss, divisor)
        return mean, subtract(squares, make("Square", (shifted,)), name="variance")


def weighted_moments(
    x: object, axes: object, frequency_weights: object, name: str | None = None,
    keep_dims: bool | None = None, keepdims: bool | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Mean and variance over `axes` with weights that broadcast against `x`."""
    places = [int(axis) for axis in np.atleast_1d(np.asarray(axes))]
    with graph_of([x, frequency_weights]).name_scope(name or "weighted_moments"):
        tensor = convert_to_tensor(x, name="x")
        weights = convert_to_tensor(frequency_weights, base(tensor), "frequency_weights")
        spread = add(weights, make("ZerosLike", (tensor,), dtype=base(tensor)))
        total = reduce_sum(spread, places, True, name="sum_of_weights")
        divisor = make("Reciprocal", (total,), "inv_sum_of_weights")
        mean = multiply(reduce_sum(weights * tensor, places, True), divisor)
        distance = reduce_sum(weights * squared_difference(tensor, mean), places, True)
        variance = multiply(distance, divisor)
        if keep_dims or keepdims:
            return mean, variance
        return squeeze(mean, places), squeeze(variance, places)


def batch_norm_with_global_normalization(
    t: object = None, m: object = None, v: object = None, beta: object = None,
    gamma: object = None, variance_epsilon: object = None,
    scale_after_normalization: bool | None = None, name: str | None = None,
    input: object = None, mean: object = None, variance: object = None,
) -> Tensor:  # fmt: skip
    """`batch_normalization` with `gamma` used only if `scale_after_normalization`."""
    return batch_normalization(
        t if input is None else input, m if mean is None else mean,
        v if variance is None else variance, beta,
        gamma if scale_after_normalization else None, variance_epsilon, name,
    )  # fmt: skip
