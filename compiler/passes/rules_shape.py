"""Rules of canonicalize for ops that rename or repeat elements.

The normal form: no chains of one op; what only adds or drops dims of size 1 is a reshape; the
operand of a broadcast has no dims of size 1 and its dims are in the result's order; a constant of
equal elements is a broadcast scalar.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dims import Shape
from tensorkiln.compiler.ir.function import Array, Op
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.checks import op_dims
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rule


def without_ones(shape: Shape) -> Shape:
    """The dims that are not 1."""
    return tuple(dim for dim in shape if dim != 1)


def constant(rewriter: Rewriter, op: Op) -> Replacement:
    """An array of equal elements is a broadcast scalar."""
    array = op.array("value")
    if array.size < 2 or not _is_uniform(array):
        return None
    return rewriter.splat_like(array.reshape(-1)[0].reshape(()), op.result)


def _is_uniform(array: Array) -> bool:
    flat = array.reshape(-1)
    if flat[0].tobytes() != flat[-1].tobytes():
        return False
    data = np.ascontiguousarray(flat).view(np.uint8).reshape(flat.size, -1)
    return bool((data == data[0]).all())


def reshape(rewriter: Rewriter, op: Op) -> Replacement:
    """Reshapes to the same, of reshapes, of constants, and of broadcasts between whose dims
    only ones come or go."""
    (x,), shape = op.operands, op_dims(op, "shape")
    if x.type.shape == shape:
        return x
    if (inner := rewriter.producer(x, "reshape")) is not None:
        return shorthand.reshape(rewriter, inner.operands[0], shape)
    if (array := rewriter.literal(x)) is not None:
        return rewriter.keep(array.reshape(op.result.shape))
    inner = rewriter.producer(x, "broadcast_in_dim")
    if inner is None:
        return None
    if rewriter.splat(x) is not None:
        return shorthand.broadcast_in_dim(rewriter, inner.operands[0], shape, ())
    if without_ones(x.type.shape) != without_ones(shape):
        return None
    # Dim k of the shape without ones has a place in either shape; an operand's dim that is not 1
    # has one too, and others do not occur in the normal form.
    old = [axis for axis, dim in enumerate(x.type.shape) if dim != 1]
    new = [axis for axis, dim in enumerate(shape) if dim != 1]
    places = dict(zip(old, new, strict=True))
    dimensions = inner.ints("dimensions")
    if any(axis not in places for axis in dimensions):
        return None
    moved = [places[axis] for axis in dimensions]
    return shorthand.broadcast_in_dim(rewriter, inner.operands[0], shape, moved)


def transpose(rewriter: Rewriter, op: Op) -> Replacement:
    """Transposes of transposes and of broadcasts; those that move only dims of size 1."""
    (x,), permutation = op.operands, op.ints("permutation")
    if permutation == tuple(range(len(permutation))):
        return x
    moved = [axis for axis in permutation if x.type.shape[axis] != 1]
    if moved == sorted(moved):
        return shorthand.reshape(rewriter, x, op.result.type.shape)
    if (inner := rewriter.producer(x, "transpose")) is not None:
        order = inner.ints("permutation")
        return shorthand.transpose(rewriter, inner.operands[0], [order[k] for k in permutation])
    if (inner := rewriter.producer(x, "broadcast_in_dim")) is not None:
        places = [permutation.index(axis) for axis in inner.ints("dimensions")]
        return shorthand.broadcast_in_dim(rewriter, inner.operands[0], op.result.type.shape, places)
    return None


def broadcast_in_dim(rewriter: Rewriter, op: Op) -> Replacement:
    """Broadcasts to the same, of broadcasts, of dims of size 1, and those that only add ones."""
    (x,), shape, dimensions = op.operands, op.result.type.shape, op.ints("dimensions")
    in_order = list(dimensions) == sorted(dimensions)
    if in_order and without_ones(x.type.shape) == without_ones(shape):
        # Nothing is repeated: the dims of the operand that are not 1 are those of the result.
        return shorthand.reshape(rewriter, x, shape)
    if 1 in x.type.shape:
        kept = [k for k, dim in enumerate(x.type.shape) if dim != 1]
        narrow = shorthand.reshape(rewriter, x, [x.type.shape[k] for k in kept])
        places = [dimensions[k] for k in kept]
        return shorthand.broadcast_in_dim(rewriter, narrow, shape, places)
    if not in_order:
        order = sorted(range(len(dimensions)), key=lambda k: dimensions[k])
        ordered = shorthand.transpose(rewriter, x, order)
        return shorthand.broadcast_in_dim(rewriter, ordered, shape, sorted(dimensions))
    if (inner := rewriter.producer(x, "broadcast_in_dim")) is not None:
        places = [dimensions[axis] for axis in inner.ints("dimensions")]
        return shorthand.broadcast_in_dim(rewriter, inner.operands[0], shape, places)
    return None


def reverse(rewriter: Rewriter, op: Op) -> Replacement:
    """Reversals of reversals, of repeated dims, and of dims of size 1."""
    (x,), dimensions = op.operands, op.ints("dimensions")
    moved = {axis for axis in dimensions if x.type.shape[axis] != 1}
    inner = rewriter.producer(x, "broadcast_in_dim")
    if inner is not None:
        # Elements repeated along an axis read the same backwards.
        moved &= {
            axis
            for axis, dim in zip(
                inner.ints("dimensions"), inner.operands[0].type.shape, strict=True
            )
            if dim != 1
        }
    if (inner := rewriter.producer(x, "reverse")) is not None:
        return shorthand.reverse(
            rewriter, inner.operands[0], [*moved ^ {*inner.ints("dimensions")}]
        )
    if moved != set(dimensions):
        return shorthand.reverse(rewriter, x, [*moved])
    return None


def iota(rewriter: Rewriter, op: Op) -> Replacement:
    """Indices along a dim of size 1 are zeros."""
    if op.result.type.shape[op.integer("dimension")] != 1:
        return None
    return rewriter.splat_like(np.zeros((), op.result.dtype.numpy), op.result)


RULES: dict[str, Sequence[Rule]] = {
    "constant": (constant,),
    "reshape": (reshape,),
    "transpose": (transpose,),
    "broadcast_in_dim": (broadcast_in_dim,),
    "reverse": (reverse,),
    "iota": (iota,),
}
