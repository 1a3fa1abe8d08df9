"""Rules of canonicalize for slices, pads and concatenations."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.checks import op_dims
from tensorkiln.compiler.passes.rewriting import Replacement, Rewriter, Rule, static


def slice_whole(rewriter: Rewriter, op: Op) -> Replacement:
    """A slice of everything."""
    (x,) = op.operands
    whole = not any(op.ints("start")) and op_dims(op, "limit") == x.type.shape
    return x if whole and all(s == 1 for s in op.ints("strides")) else None


def slice_of_slice(rewriter: Rewriter, op: Op) -> Replacement:
    """x[a:b:s][c:d:t] = x[a+c*s : a+(d-1)*s+1 : s*t]."""
    inner = rewriter.producer(op.operands[0], "slice")
    if inner is None or not static(*op.operands, *inner.operands) or not op.result.type.elements:
        return None
    begin, step = inner.ints("start"), inner.ints("strides")
    start = [a + c * s for a, c, s in zip(begin, op.ints("start"), step, strict=True)]
    limit = [a + (d - 1) * s + 1 for a, d, s in zip(begin, op.ints("limit"), step, strict=True)]
    strides = [s * t for s, t in zip(step, op.ints("strides"), strict=True)]
    return shorthand.slice_(rewriter, inner.operands[0], start, limit, strides)


def slice_of_broadcast(rewriter: Rewriter, op: Op) -> Replacement:
    """A slice of a broadcast is a broadcast of the operand's slice."""
    inner = rewriter.producer(op.operands[0], "broadcast_in_dim")
    if inner is None or 1 in inner.operands[0].type.shape:
        return None
    (x,), axes = inner.operands, inner.ints("dimensions")
    start, limit, strides = op.ints("start"), op_dims(op, "limit"), op.ints("strides")
    sliced = shorthand.slice_(
        rewriter, x, [start[k] for k in axes], [limit[k] for k in axes], [strides[k] for k in axes]
    )
    return shorthand.broadcast_in_dim(rewriter, sliced, op.result.type.shape, axes)


def slice_of_pad(rewriter: Rewriter, op: Op) -> Replacement:
    """A slice that takes nothing of the padding is a slice of the padded tensor."""
    inner = rewriter.producer(op.operands[0], "pad")
    if inner is None or any(inner.ints("interior")) or not static(*op.operands, *inner.operands):
        return None
    x, low = inner.operands[0], inner.ints("low")
    start = [a - n for a, n in zip(op.ints("start"), low, strict=True)]
    limit = [b - n for b, n in zip(op.ints("limit"), low, strict=True)]
    if min(start, default=0) < 0 or any(b > d for b, d in zip(limit, x.shape, strict=True)):
        return None
    return shorthand.slice_(rewriter, x, start, limit, op.ints("strides"))


def slice_of_concatenate(rewriter: Rewriter, op: Op) -> Replacement:
    """A slice inside one piece of a concatenation is a slice of that piece."""
    inner = rewriter.producer(op.operands[0], "concatenate")
    if inner is None or not static(*op.operands, *inner.operands) or not op.result.type.elements:
        return None
    axis = inner.integer("dimension")
    start, limit = [*op.ints("start")], [*op.ints("limit")]
    offset = 0
    for piece in inner.operands:
        end = offset + piece.shape[axis]
        if offset <= start[axis] and limit[axis] <= end:
            start[axis] -= offset
            limit[axis] -= offset
            return shorthand.slice_(rewriter, piece, start, limit, op.ints("strides"))
        offset = end
    return None


def pad(rewriter: Rewriter, op: Op) -> Replacement:
    """No padding; only cropping; padding with what is there; padding padded again."""
    x, filler = op.operands
    low, high, interior = op.ints("low"), op.ints("high"), op.ints("interior")
    if not (any(low) or any(high) or any(interior)):
        return x
    if not static(x):
        return None
    if x.type.elements == 0:
        return shorthand.broadcast_in_dim(rewriter, filler, op.result.type.shape, ())
    # Negative numbers and none between elements: a slice.
    if not any(interior) and max(*low, *high) <= 0 and op.result.type.elements:
        limit = [d + n for d, n in zip(x.shape, high, strict=True)]
        return shorthand.slice_(rewriter, x, [-n for n in low], limit)
    inner, outer = rewriter.splat(x), rewriter.splat(filler)
    if inner is not None and outer is not None and inner.tobytes() == outer.tobytes():
        return shorthand.broadcast_in_dim(rewriter, filler, op.result.type.shape, ())
    return _pad_of_pad(rewriter, op)


def _pad_of_pad(rewriter: Rewriter, op: Op) -> Replacement:
    # pad(pad(x, a, b), c, d) = pad(x, a+c, b+d) if neither crops nor spreads.
    inner = rewriter.producer(op.operands[0], "pad")
    if inner is None or inner.operands[1] is not op.operands[1]:
        return None
    low, high = op.ints("low"), op.ints("high")
    more_low, more_high = inner.ints("low"), inner.ints("high")
    if any(op.ints("interior")) or min(*low, *high, *more_low, *more_high) < 0:
        return None
    return shorthand.pad(
        rewriter,
        inner.operands[0],
        [a + b for a, b in zip(low, more_low, strict=True)],
        [a + b for a, b in zip(high, more_high, strict=True)],
        inner.ints("interior"),
        op.operands[1],
    )


def concatenate(rewriter: Rewriter, op: Op) -> Replacement:
    """Nested, empty and adjacent pieces; pieces that all repeat one scalar."""
    axis = op.integer("dimension")
    pieces: list[Value] = []
    for value in op.operands:
        inner = rewriter.producer(value, "concatenate")
        # One that others read too is computed anyway: reading its pieces instead would make
        # chains of concatenations quadratic.
        nested = inner is not None and inner.integer("dimension") == axis
        nested = nested and rewriter.has_one_use(value)
        pieces += inner.operands if inner is not None and nested else (value,)
    pieces = [v for v in pieces if v.type.shape[axis] != 0] or pieces[:1]
    scalars = [rewriter.splat(v) for v in pieces]
    if len({None if s is None else s.tobytes() for s in scalars}) == 1 and scalars[0] is not None:
        return rewriter.splat_like(scalars[0], op.result)
    joined = [pieces[0]]
    for piece in pieces[1:]:
        both = _join(rewriter, joined[-1], piece, axis)
        joined[-1:] = [joined[-1], piece] if both is None else [both]
    if joined == [*op.operands] and len(joined) > 1:
        return None
    return shorthand.concat(rewriter, joined, axis)


def _join(rewriter: Rewriter, a: Value, b: Value, axis: int) -> Value | None:
    # x[i:j] and x[j:k] are x[i:k].
    first, second = rewriter.producer(a, "slice"), rewriter.producer(b, "slice")
    if first is None or second is None or first.operands != second.operands:
        return None
    if any(s != 1 for s in (*first.ints("strides"), *second.ints("strides"))):
        return None
    start, limit = [*first.ints("start")], [*op_dims(first, "limit")]
    other, end = [*second.ints("start")], [*op_dims(second, "limit")]
    if limit[axis] != other[axis]:
        return None
    limit[axis], other[axis] = end[axis], start[axis]
    if other != start or end != limit:
        return None
    return shorthand.slice_(rewriter, first.operands[0], start, limit)


def dynamic_slice(rewriter: Rewriter, op: Op) -> Replacement:
    """Constant starts make it a slice; so does a box as large as the tensor."""
    x, *starts = op.operands
    sizes = op_dims(op, "sizes")
    if sizes == x.type.shape:
        return x
    literals = [rewriter.literal(v) for v in starts]
    if not static(x, op.result) or any(a is None for a in literals):
        return None
    numbers = [int(a.item()) for a in literals if a is not None]
    box = op.result.shape
    begin = [min(max(n, 0), d - s) for n, d, s in zip(numbers, x.shape, box, strict=True)]
    return shorthand.slice_(rewriter, x, begin, [b + s for b, s in zip(begin, box, strict=True)])


def dynamic_update_slice(rewriter: Rewriter, op: Op) -> Replacement:
    """An update of everything is the update."""
    x, update, *_ = op.operands
    return update if update.type == x.type else None


RULES: dict[str, Sequence[Rule]] = {
    "slice": (slice_whole, slice_of_slice, slice_of_broadcast, slice_of_pad, slice_of_concatenate),
    "pad": (pad,),
    "concatenate": (concatenate,),
    "dynamic_slice": (dynamic_slice,),
    "dynamic_update_slice": (dynamic_update_slice,),
}
