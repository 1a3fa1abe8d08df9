"""`tf.nn.with_space_to_batch`: an operation on every so-manyth cell, by way of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.ops_shape import shape
from tensorkiln.frontends.graph.ops_spaces import required_space_to_batch_paddings
from tensorkiln.frontends.graph.statics import static_integers
from tensorkiln.frontends.graph.tensor import Tensor


def with_space_to_batch(
    input: object, dilation_rate: object, padding: str,
    op: Callable[[Tensor, int, str], Tensor], filter_shape: object = None,
    spatial_dims: Sequence[int] | None = None, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """What `op(tensor, number of spatial dims, padding)` makes of cells `dilation_rate` apart.

    Blocks of cells become images of a larger batch, on which `op` runs without padding, and are
    put back.  `filter_shape` is needed for the padding SAME; `spatial_dims` are consecutive and
    count from 1.
    """
    tensor = convert_to_tensor(input, name="input")
    rates = convert_to_tensor(dilation_rate, name="dilation_rate")
    known = static_integers(rates)
    if known is None or rates.shape.ndims != 1:
        raise ValueError("dilation_rate must be a vector that is known when the graph is built")
    if any(rate < 1 for rate in known):
        raise ValueError(f"dilation_rate must be positive, got {list(known)}")
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"Invalid padding method {padding!r}")
    first = 2 if data_format is not None and data_format.startswith("NC") else 1
    dims = list(range(first, first + len(known))) if spatial_dims is None else sorted(spatial_dims)
    if len(dims) != len(known) or dims[0] < 1:
        raise ValueError(f"spatial_dims {dims} do not fit dilation_rate {list(known)}")
    if all(rate == 1 for rate in known):
        return op(tensor, len(known), padding)
    margins = _margins(filter_shape, known) if padding == "SAME" else None
    last = dims[-1]
    whole = [known[dims.index(d)] if d in dims else 1 for d in range(1, last + 1)]
    given = np.zeros((last, 2), np.int32)
    if margins is not None:
        given[[d - 1 for d in dims]] = margins
    with graph_of([tensor]).name_scope("with_space_to_batch"):
        paddings: object
        crops: object
        sizes = (tensor.sizes or (None,))[1 : last + 1]
        if len(sizes) == last and None not in sizes:
            extra = -(np.array(sizes) + given.sum(1)) % np.array(whole)
            paddings = given + np.stack([0 * extra, extra], 1).astype(np.int32)
            crops = np.stack([0 * extra, extra], 1).astype(np.int32)
        else:
            unknown = shape(tensor)[1 : last + 1]
            paddings, crops = required_space_to_batch_paddings(unknown, whole, given)
        cells = make("SpaceToBatchND", (tensor, whole, paddings))
        return make("BatchToSpaceND", (op(cells, len(known), "VALID"), whole, crops))


def _margins(filter_shape: object, rates: Sequence[int]) -> list[tuple[int, int]]:
    """How many cells SAME adds at both ends of each dim."""
    if filter_shape is None:
        raise ValueError("filter_shape must be specified for SAME padding")
    sizes = static_integers(convert_to_tensor(filter_shape, name="filter_shape"))
    if sizes is None:
        raise ValueError("filter_shape must be known when the graph is built")
    found = []
    for size, rate in zip(sizes, rates, strict=False):
        extra = (size - 1) * rate
        found.append((extra // 2, extra - extra // 2))
    return found
