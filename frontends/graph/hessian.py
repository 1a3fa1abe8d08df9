"""Second derivatives as tensors."""

from __future__ import annotations

from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.ops_gradient import gradients
from tensorkiln.frontends.graph.ops_shape import reshape
from tensorkiln.frontends.graph.tensor import Tensor


def hessians(
    ys: object, xs: object, name: str = "hessians", colocate_gradients_with_ops: bool = False,
    gate_gradients: object = False, aggregation_method: object = None,
) -> list[Tensor]:  # fmt: skip
    """For each x the second derivatives of the sum of `ys`, of shape x.shape + x.shape.

    ValueError where the shape of an x is not known or `ys` do not depend on it.
    """
    found = []
    for x in xs if isinstance(xs, list | tuple) else [xs]:
        tensor = convert_to_tensor(x)
        count = tensor.shape.num_elements()
        if count is None:
            raise ValueError(f"hessians needs tensors of known shape, not {tensor}")
        (slope,) = gradients(ys, tensor, name=name)
        if slope is None:
            raise ValueError(f"ys do not depend on {tensor.name}")
        flat = reshape(slope, [-1])
        rows = []
        for k in range(count):
            (row,) = gradients(flat[k], tensor, unconnected_gradients="zero")
            rows.append(convert_to_tensor(row))
        stacked = make("Pack", (rows,), axis=0)
        sizes = tensor.shape.as_list()
        found.append(reshape(stacked, [*sizes, *sizes]))
    return found
