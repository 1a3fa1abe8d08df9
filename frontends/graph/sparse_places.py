"""Where the elements of sparse tensors go: host ops over indices alone.

Values are read at the places that these give, by compiled ops, through which gradients flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import Infer, OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.statics import static_shape
from tensorkiln.frontends.graph.tensor import Tensor

Indices = NDArray[np.int64]
_INT = dtypes.int64


def places(kind: str, *inputs: object, **attributes: object) -> Sequence[Tensor]:
    """The outputs of a host op of this table."""
    return apply_op(kind, inputs, kind, attributes).outputs


def sorted_order(indices: Indices) -> Indices:
    """The row-major order of index tuples; equal ones stay as they are."""
    if not indices.shape[1]:
        return np.arange(len(indices))
    return np.lexsort(indices.T[::-1])


def _reorder(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    order = sorted_order(arrays[0])
    return [arrays[0][order], order]


def _concat(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    count, axis = len(arrays) // 2, op.integer("axis")
    parts, shapes = arrays[:count], np.stack(arrays[count:])
    axis %= shapes.shape[1]
    others = np.delete(shapes, axis, 1)
    if not op.flag("expand") and (others != others[0]).any():
        raise InvalidArgumentError(
            op.name, op, "All shapes must match except in the dimension of concatenation, not "
            f"{shapes.tolist()} along dimension {axis}",
        )  # fmt: skip
    shape = shapes.max(0)
    shape[axis] = shapes[:, axis].sum()
    starts = np.cumsum(shapes[:, axis]) - shapes[:, axis]
    moved = [p + np.eye(shapes.shape[1], dtype=np.int64)[axis] * s
             for p, s in zip(parts, starts, strict=True)]  # fmt: skip
    whole = np.concatenate(moved)
    order = sorted_order(whole)
    return [whole[order], order, shape]


def _split(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    indices, shape = arrays
    axis, count = op.integer("axis") % len(shape), op.integer("num_split")
    each, extra = divmod(int(shape[axis]), count)
    found: list[Array] = []
    start = 0
    for k in range(count):
        size = each + (k < extra)
        inside = np.flatnonzero((indices[:, axis] >= start) & (indices[:, axis] < start + size))
        part = indices[inside].copy()
        part[:, axis] -= start
        own = shape.copy()
        own[axis] = size
        found += [part, inside, own]
        start += size
    return found


def _slice(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    indices, shape, start, size = arrays
    inside = np.flatnonzero(((indices >= start) & (indices < start + size)).all(1))
    own = np.clip(np.minimum(start + size, shape) - start, 0, None)
    return [indices[inside] - start, inside, own]


def _reshape(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    indices, shape, wanted = arrays
    whole, target = int(np.prod(shape)), wanted.copy()
    unknown = np.flatnonzero(target == -1)
    rest = int(np.prod(target[target != -1]))
    if len(unknown) == 1 and rest:
        target[unknown[0]] = whole // rest
    if len(unknown) > 1 or int(np.prod(target)) != whole:
        raise InvalidArgumentError(
            op.name, op, f"Input to reshape is a tensor with {whole} dense values, but the "
            f"requested shape is {wanted.tolist()}",
        )  # fmt: skip
    if not len(indices):
        return [np.zeros((0, len(target)), np.int64), target]
    flat = np.ravel_multi_index(tuple(indices.T), tuple(shape))
    return [np.stack(np.unravel_index(flat, tuple(target)), 1).astype(np.int64), target]


def _fill_rows(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    """Indices with one in each empty row, their places (one past the end: new), empty rows, and
    the places of the old elements."""
    indices, shape = arrays
    count = len(indices)
    empty = np.ones(int(shape[0]), np.bool_)
    empty[indices[:, 0]] = False
    new = np.zeros((int(empty.sum()), indices.shape[1]), np.int64)
    new[:, 0] = np.flatnonzero(empty)
    whole = np.concatenate([indices, new])
    order = np.argsort(whole[:, 0], kind="stable")
    back = np.empty(len(whole), np.int64)
    back[order] = np.arange(len(whole))
    return [whole[order], np.minimum(order, count), empty, back[:count]]


def _union(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    """The index tuples of either tensor and the place in each; one past its end: not there."""
    a, b = arrays
    merged, inverse = np.unique(np.concatenate([a, b]), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    found = [np.full(len(merged), len(side), np.int64) for side in (a, b)]
    found[0][inverse[: len(a)]] = np.arange(len(a))
    found[1][inverse[len(a) :]] = np.arange(len(b))
    return [merged, *found]


def _groups(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    """The groups that differ in dims not in `axes`, each element's group, and the shape left."""
    indices, shape = arrays
    rank = len(shape)
    given = op.attributes["axes"]
    axes = {int(axis) % rank for axis in given} if isinstance(given, tuple) else set(range(rank))
    kept = [axis for axis in range(rank) if axis not in axes]
    groups, number = np.unique(indices[:, kept], axis=0, return_inverse=True)
    if not op.flag("keep_dims"):
        return [groups, number.reshape(-1), shape[kept]]
    wide = np.zeros((len(groups), rank), np.int64)
    wide[:, kept] = groups
    return [wide, number.reshape(-1), np.where([axis in axes for axis in range(rank)], 1, shape)]


def _reset(op: Operation, arrays: Sequence[Indices]) -> Sequence[Array]:
    indices, shape, *given = arrays
    if not given:
        return [indices.max(0, initial=-1) + 1]
    (wanted,) = given
    if len(wanted) != len(shape) or (wanted < shape).any():
        raise InvalidArgumentError(
            op.name, op, f"the new shape {wanted.tolist()} must have the rank of and be no smaller "
            f"than {shape.tolist()}",
        )  # fmt: skip
    return [wanted]


def _outputs(*kinds: str) -> Infer:
    """Outputs by what they are: of the inputs' rank or of the last input's, as many as there are
    elements (`all`) or fewer, of known sizes or not."""

    def infer(op: Operation) -> Sequence[Result]:
        count, rank = _known(op)
        last = (op.inputs[-1].sizes or (None,))[0]
        rows = static_shape(op.inputs[1]) if op.type == "SparseFillEmptyRowsPlaces" else None
        table: dict[str, Result] = {
            "indices": (_INT, (None, rank)), "order": (_INT, (None,)), "shape": (_INT, (rank,)),
            "all_indices": (_INT, (count, rank)), "all": (_INT, (count,)),
            "rows": (dtypes.boolean, (rows[0] if rows else None,)),
            "any_indices": (_INT, (None, None)), "any_shape": (_INT, (None,)),
            "new_indices": (_INT, (count, last)), "new_shape": (_INT, (last,)),
        }  # fmt: skip
        names = kinds * op.integer("num_split") if op.type == "SparseSplitPlaces" else kinds
        return [table[name] for name in names]

    return infer


def _known(op: Operation) -> tuple[int | None, int | None]:
    """The number of elements and of dims, as far as they are known."""
    several = op.type == "SparseConcatPlaces"
    sides = op.inputs[: len(op.inputs) // 2] if several else op.inputs[:1]
    sizes = [side.sizes or (None, None) for side in sides]
    shape = op.inputs[-1 if several else 1].sizes
    ranks = [n for n in (*(s[1] for s in sizes), shape[0] if shape else None) if n is not None]
    counts = [s[0] for s in sizes]
    count = None if None in counts else sum(n for n in counts if n is not None)
    return count, ranks[0] if ranks else None


Plan = Callable[[Operation, Sequence[Indices]], Sequence[Array]]


def _kind(name: str, inputs: str, infer: Infer, plan: Plan) -> OpKind:
    def host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
        found = plan(op, [np.asarray(a, np.int64) for a in arrays])
        return [
            np.asarray(a, t.dtype.base_dtype.numpy) for a, t in zip(found, op.outputs, strict=True)
        ]

    return OpKind(name, inputs, infer, host_only, host=host, differentiable=False)


_TWO = "indices:int64 shape:int64"
register(
    _kind("SparseReorderPlaces", _TWO, _outputs("all_indices", "all"), _reorder),
    _kind("SparseConcatPlaces", "indices:int64* shapes:int64*",
          _outputs("all_indices", "all", "shape"), _concat),
    _kind("SparseSplitPlaces", _TWO, _outputs("indices", "order", "shape"), _split),
    _kind("SparseSlicePlaces", f"{_TWO} start:int64 size:int64",
          _outputs("indices", "order", "shape"), _slice),
    _kind("SparseReshape", f"{_TWO} new_shape:int64", _outputs("new_indices", "new_shape"), _reshape),
    _kind("SparseFillEmptyRowsPlaces", _TWO, _outputs("indices", "order", "rows", "all"),
          _fill_rows),
    _kind("SparseUnionPlaces", "a:int64 b:int64", _outputs("indices", "order", "order"), _union),
    _kind("SparseGroups", _TWO, _outputs("any_indices", "all", "any_shape"), _groups),
    _kind("SparseLeastShape", _TWO, _outputs("shape"), _reset),
    _kind("SparseCheckedShape", f"{_TWO} new_shape:int64", _outputs("shape"), _reset),
)  # fmt: skip
