"""What depends on values in its size: where, boolean_mask, unique and differences of lists.

The host computes places; reading data at them is compiled, and so has a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_gather import gather
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError, compatible, show
from tensorkiln.frontends.graph.statics import static_array
from tensorkiln.frontends.graph.tensor import Tensor


class Unique(NamedTuple):
    """Different elements in the order of their first occurrence, and the place of each element."""

    y: Tensor
    idx: Tensor


class UniqueWithCounts(NamedTuple):
    """Different elements, the place of each element among them, and how often each occurs."""

    y: Tensor
    idx: Tensor
    count: Tensor  # type: ignore[assignment]


class ListDiff(NamedTuple):
    """The elements that are not in another list, and their places."""

    out: Tensor
    idx: Tensor


def where_true(condition: object, name: str | None = None) -> Tensor:
    """The index tuples of the elements that are true (or not zero), in row-major order."""
    return make("Where", (condition,), name)


def _where_infer(op: Operation) -> Sequence[Result]:
    sizes = op.inputs[0].sizes
    return [(dtypes.int64, (None, None if sizes is None else len(sizes)))]


def _where_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.argwhere(arrays[0]).astype(np.int64)]


def boolean_mask(
    tensor: object, mask: object, name: str | None = "boolean_mask", axis: object = None
) -> Tensor:
    """The slices of a tensor, along the dims of the mask from `axis` on, where the mask is true."""
    with graph_of([tensor, mask]).name_scope(name or "boolean_mask"):
        x = convert_to_tensor(tensor, name="tensor")
        flags = convert_to_tensor(mask, dtypes.boolean, name="mask")
        if flags.sizes is None:
            raise ValueError(
                "Number of mask dimensions must be specified, even if some dimensions are None.  "
                "E.g. shape=[None] is ok, but shape=None is not."
            )
        if not flags.sizes:
            raise ValueError("mask cannot be scalar.")
        if x.sizes is None:
            raise ValueError("the rank of the tensor must be known")
        start = 0 if axis is None else int(static_array(convert_to_tensor(axis)))  # type: ignore[arg-type]
        end = start + len(flags.sizes)
        if not compatible(x.sizes[start:end], flags.sizes):
            raise ValueError(
                f"Shapes {show(x.sizes[start:end])} and {show(flags.sizes)} are incompatible"
            )
        merged = _merged(x, start, end)
        places = make("Reshape", (flags, [-1]))
        picked = make("Squeeze", (where_true(places),), squeeze_dims=(1,))
        return gather(merged, picked, axis=start)


def _merged(x: Tensor, start: int, end: int) -> Tensor:
    """The tensor with dims from `start` below `end` as one."""
    sizes = x.sizes or ()
    unknown = [k for k, size in enumerate(sizes) if size is None]
    if not any(start <= k < end for k in unknown) and len(unknown) <= 1:
        number = int(np.prod([size for size in sizes[start:end] if size is not None]))
        rest = [-1 if size is None else size for size in (*sizes[:start], number, *sizes[end:])]
        return make("Reshape", (x, rest))
    shape = make("Shape", (x,), out_type=dtypes.int32)
    middle = make("Prod", (shape[start:end], [0]), keep_dims=True)
    return make("Reshape", (x, make("ConcatV2", ([shape[:start], middle, shape[end:]], 0))))


def unique(x: object, out_idx: object = dtypes.int32, name: str | None = None) -> Unique:
    """The different elements of a vector, and the place of each element among them."""
    kind = dtypes.as_dtype(out_idx)
    return Unique(*apply_op("Unique", (x,), name, {"out_idx": kind}).outputs)


def unique_with_counts(
    x: object, out_idx: object = dtypes.int32, name: str | None = None
) -> UniqueWithCounts:
    """The different elements of a vector, the place of each, and how often each occurs."""
    kind = dtypes.as_dtype(out_idx)
    return UniqueWithCounts(*apply_op("UniqueWithCounts", (x,), name, {"out_idx": kind}).outputs)


def _out_idx(op: Operation) -> DType:
    kind = op.attributes["out_idx"]
    assert isinstance(kind, DType)
    return kind


def _unique_infer(op: Operation) -> Sequence[Result]:
    (x,), kind = op.inputs, _out_idx(op)
    if x.sizes is not None and len(x.sizes) != 1:
        raise ShapeError(f"Shape must be rank 1 but is rank {len(x.sizes)}")
    count: list[Result] = [(kind, (None,))] if op.type == "UniqueWithCounts" else []
    return [(base(x), (None,)), (kind, x.sizes if x.sizes is not None else (None,)), *count]


def _unique_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    (x,), kind = arrays, _out_idx(op).numpy
    place: dict[object, int] = {}
    index = np.array([place.setdefault(value, len(place)) for value in x.tolist()], kind)
    y = np.array(list(place), x.dtype)
    if op.type == "Unique":
        return [y, index]
    return [y, index, np.bincount(index.astype(np.int64), minlength=len(place)).astype(kind)]


def setdiff1d(
    x: object, y: object, index_dtype: object = dtypes.int32, name: str | None = None
) -> ListDiff:
    """The elements of `x` that are not in `y`, in order, and their places."""
    kind = dtypes.as_dtype(index_dtype)
    return ListDiff(*apply_op("ListDiff", (x, y), name, {"out_idx": kind}).outputs)


def _difference_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[0]), (None,)), (_out_idx(op), (None,))]


def _difference_host(
    context: HostContext, op: Operation, arrays: Sequence[Array]
) -> Sequence[Array]:
    x, y = arrays
    left_out = set(y.tolist())
    kept = [k for k, value in enumerate(x.tolist()) if value not in left_out]
    return [x[kept], np.array(kept, _out_idx(op).numpy)]


register(
    OpKind("Where", "input:T", _where_infer, host_only, differentiable=False, host=_where_host),
    OpKind("Unique", "x:T", _unique_infer, host_only, differentiable=False, host=_unique_host),
    OpKind("UniqueWithCounts", "x:T", _unique_infer, host_only, differentiable=False,
           host=_unique_host),
    OpKind("ListDiff", "x:T y:T", _difference_infer, host_only, differentiable=False,
           host=_difference_host),
)  # fmt: skip
