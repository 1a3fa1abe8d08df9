"""Values, norms and gradients kept within bounds."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.indexed_slices import (
    IndexedSlices,
    convert_to_tensor_or_indexed_slices,
    values_of,
    with_values,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_elementwise import maximum, minimum
from tensorkiln.frontends.graph.ops_loss import l2_loss
from tensorkiln.frontends.graph.ops_reduce import reduce_sum
from tensorkiln.frontends.graph.ops_shape import size
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import TensorShape
from tensorkiln.frontends.graph.tensor import Tensor


def clip_by_value(
    t: object, clip_value_min: object, clip_value_max: object, name: str | None = None
) -> Tensor | IndexedSlices:
    """Each element limited to the range; ValueError if a bound would change the shape."""
    numbers = values_of(t)
    with graph_of([numbers, clip_value_min, clip_value_max]).name_scope(
        name or "clip_by_value"
    ) as scope:
        below = minimum(numbers, clip_value_max)
        if not numbers.shape.is_compatible_with(below.shape):
            raise ValueError(f"Shapes {numbers.shape} and {below.shape} are incompatible")
        above = maximum(below, clip_value_min, name=scope)
        TensorShape(numbers.sizes).assert_is_compatible_with(above.shape)
    return with_values(t, above)


def clip_by_norm(
    t: object, clip_norm: object, axes: object = None, name: str | None = None
) -> Tensor | IndexedSlices:
    """The tensor scaled down so that its L2 norm (over `axes`) is at most `clip_norm`."""
    numbers = values_of(t)
    with graph_of([numbers]).name_scope(name or "clip_by_norm") as scope:
        limit = convert_to_tensor(clip_norm, base(numbers))
        total = reduce_sum(numbers * numbers, axes, True)
        positive = total > 0.0
        safe = make("Select", (positive, total, make("OnesLike", (total,), dtype=base(total))))
        norm = make("Select", (positive, make("Sqrt", (safe,)), total))
        scaled = make("RealDiv", (numbers * limit, maximum(norm, limit)))
        return with_values(t, make("Identity", (scaled,), scope))


def clip_by_average_norm(t: object, clip_norm: object, name: str | None = None) -> Tensor:
    """The tensor scaled down so that its L2 norm over its number of elements is at most
    `clip_norm`."""
    with graph_of([t]).name_scope(name or "clip_by_average_norm") as scope:
        tensor = convert_to_tensor(t, name="t")
        limit = convert_to_tensor(clip_norm, base(tensor))
        count = make("Cast", (size(tensor),), DstT=base(tensor))
        every = list(range(len(tensor.sizes or ())))
        inverse = make("Rsqrt", (reduce_sum(tensor * tensor, every),))
        largest = minimum(inverse * count, 1.0 / limit)
        return make("Identity", (tensor * limit * largest,), scope)


def global_norm(t_list: Sequence[object], name: str | None = None) -> Tensor:
    """The L2 norm of all tensors together; None entries are skipped."""
    _check_list(t_list)
    numbers = [values_of(t) for t in t_list if t is not None]
    with graph_of(numbers).name_scope(name or "global_norm"):
        halves = [l2_loss(t) for t in numbers]
        total = reduce_sum(make("Pack", (halves,), "stack", axis=0))
        return make("Sqrt", (total * convert_to_tensor(2.0, base(total)),), "global_norm")


def clip_by_global_norm(
    t_list: Sequence[object], clip_norm: object, use_norm: object = None, name: str | None = None
) -> tuple[list[Tensor | IndexedSlices | None], Tensor]:
    """The tensors scaled by clip_norm / max(global norm, clip_norm), and the global norm."""
    _check_list(t_list)
    given = [None if t is None else convert_to_tensor_or_indexed_slices(t) for t in t_list]
    norm = global_norm(given) if use_norm is None else convert_to_tensor(use_norm)
    known = [values_of(t) for t in given if t is not None]
    with graph_of(known).name_scope(name or "clip_by_global_norm") as scope:
        limit = convert_to_tensor(clip_norm, base(norm))
        scale = limit * minimum(1.0 / norm, 1.0 / limit)
        scale = scale + (norm - norm)  # NaN where the norm is not finite
        clipped = [
            None
            if t is None
            else with_values(t, make("Identity", (values_of(t) * scale,), f"{scope}_{k}"))
            for k, t in enumerate(given)
        ]
        return clipped, norm


def _check_list(t_list: object) -> None:
    if not isinstance(t_list, Sequence) or isinstance(t_list, str):
        raise TypeError("t_list should be a sequence")
