"""Fusion: groups ops into kernels by their access pattern.

Contract: takes a function of primitives (composites expanded, convolutions legal) and returns one
in which every op that computes is a `fusion` whose region is the group; `constant`s of more than
one element and `reshape`s (which only rename memory) stay outside.  Kinds of groups:

    loops        Element ops over one result shape
    rows         reductions of the innermost dims, what leads to them and what depends on them
    reduce       other Reductions with producers and a pointwise epilogue
    contract     dot_general or convolution with prologue and pointwise epilogue
    concatenate  a concatenation with its producers
    update       a dynamic_update_slice of a small box, with the box's producers
    winograd     a Winograd convolution or one of its transforms, with pointwise epilogue but for that of
                 the input
    recurrent    a recurrence over a sequence
    attention    an attention, with operands that are only turned or converted
    custom       an op with loops of its own

A loop or a branch stays an op, whose regions are fused.

Nothing expensive is computed twice: an op read by several groups is fused into them only if it
moves data from something smaller (a broadcast), comes from nothing (an iota), or is a function of
one number that costs less than to store it and read it again (`fuse_producers`).  A pointwise
group that several read is fused into the first of them, as a further result.  A product keeps a
costly function of its result and the derivative instead of the result (`fuse_derivatives`).  At
last it takes the pointwise groups that read it, with all their results (`fuse_readers`).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.integer_products import BYTES
from tensorkiln.compiler.ops.record import Element
from tensorkiln.compiler.passes.access import is_pointwise, reads_pointwise
from tensorkiln.compiler.passes.fuse_derivatives import keep_derivatives
from tensorkiln.compiler.passes.fuse_kinds import (
    CONTRACTIONS,
    CONTROL,
    ROW_REDUCTIONS,
    kind_of,
    reduced_dims,
)
from tensorkiln.compiler.passes.fuse_producers import MOST_OPS, absorb_producers
from tensorkiln.compiler.passes.fuse_readers import store_turned, take_readers
from tensorkiln.compiler.passes.fuse_regions import build_fusions
from tensorkiln.compiler.passes.groups import Groups
from tensorkiln.compiler.passes.over_regions import map_regions


def fuse(function: Function) -> Function:
    """Groups the ops of `function` (see the module's docstring); a fused one stays as it is."""
    if _is_fused(function):
        return function
    function = map_regions(fuse, function)
    ops = [op for op in function.ops if not _stays_outside(op)]
    groups = Groups(function, ops)
    for op in ops:
        groups.kind[groups.group_of[op]] = kind_of(op)
    for op in ops:
        if (
            groups.kind[groups.group_of[op]] == "rows"
            and len(groups.members[groups.group_of[op]]) == 1
        ):
            _grow_row(groups, op)
    for op in ops:
        if groups.kind[groups.group_of[op]] == "rows" and op.name in ROW_REDUCTIONS:
            _join_rows(groups, op)
    for op in ops:
        if kind_of(op) in ("reduce", "contract", "winograd"):
            _siblings(groups, op)
            _epilogue(groups, op)
    keep_derivatives(groups, ops)
    shared = absorb_producers(groups, ops)
    take_readers(groups, ops, shared)
    store_turned(groups, ops)
    return build_fusions(groups, shared)


def _is_fused(function: Function) -> bool:
    """True if everything that computes, in regions of loops and branches too, is a fusion."""
    return all(
        op.name == "fusion"
        or _stays_outside(op)
        or (op.name in CONTROL and all(map(_is_fused, op.regions)))
        for op in function.ops
    )


def _stays_outside(op: Op) -> bool:
    return op.name in ("reshape", "constant")


# Row chains


def _grow_row(groups: Groups, first: Op) -> None:
    """Adds to the row group of `first` every later op that works on the same rows."""
    target = groups.group_of[first]
    shape, dims = first.operands[0].shape, reduced_dims(first)
    siblings = [u for u in groups.users.get(first.operands[0], ()) if u.name in ROW_REDUCTIONS]
    # Ops in question by their place in the function: what reads an op comes after it.
    later = {groups.order[u]: u for u in (*groups.users_of(first), *siblings)}
    places = sorted(place for place in later if place > groups.order[first])
    while places and len(groups.members[target]) < MOST_OPS:
        op = later[heapq.heappop(places)]
        source = groups.group_of.get(op)
        if source is None or source == target or len(groups.members[source]) > 1:
            continue
        if _same_rows(op, shape, dims) and groups.can_merge(target, source):
            groups.merge(source, target)
            groups.kind[target] = "rows"
            for reader in groups.users_of(op):
                if groups.order[reader] not in later:
                    later[groups.order[reader]] = reader
                    heapq.heappush(places, groups.order[reader])


def _join_rows(groups: Groups, op: Op) -> None:
    """Merges the row group of `op` with those that read it and work on the same rows."""
    source = groups.group_of[op]
    shape, dims = op.operands[0].shape, reduced_dims(op)
    for reader in [
        reader for member in groups.members[source] for reader in groups.users_of(member)
    ]:
        target = groups.group_of.get(reader, source)
        if target == source or groups.kind[target] != "rows":
            continue
        size = len(groups.members[source]) + len(groups.members[target])
        fold = next(m for m in groups.members[target] if m.name in ROW_REDUCTIONS)
        if size <= MOST_OPS and _same_rows(fold, shape, dims) and groups.can_merge(source, target):
            groups.merge(target, source)
            groups.kind[source] = "rows"


def _same_rows(op: Op, shape: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    if op.name in ROW_REDUCTIONS:
        return op.operands[0].shape == shape and reduced_dims(op) == dims
    kept = tuple(shape[d] for d in range(len(shape)) if d not in dims)
    if op.name == "broadcast_in_dim":
        if op.result.shape != shape:
            return False
        operand = op.operands[0].shape
        places = op.ints("dimensions")
        return all(
            size == 1 or place not in dims for size, place in zip(operand, places, strict=True)
        )
    return is_pointwise(op) and op.result.shape in (shape, kept)


# Epilogues and siblings


def _siblings(groups: Groups, op: Op) -> None:
    """Joins reductions of one operand over one box into one walk over it."""
    if op.name != "reduce":
        return
    target = groups.group_of[op]
    for other in groups.users.get(op.operands[0], ()):
        source = groups.group_of.get(other)
        if other is op or source is None or source == target or other.name != "reduce":
            continue
        same = reduced_dims(other) == reduced_dims(op) and groups.kind[source] == "reduce"
        if same and groups.can_merge(target, source):
            groups.merge(source, target)


def _epilogue(groups: Groups, op: Op) -> None:
    """Adds the pointwise ops that follow `op`, as far as one value comes out at the end.

    Branches that meet again (a rectifier asks and chooses the same value) are followed together.
    """
    target = groups.group_of[op]
    if len(op.results) != 1 or groups.outputs(target) != [op.result]:
        return
    taken: list[int] = []
    whole: list[int] = []  # how many of those taken leave one value to store
    inside = {op.result}
    while len(groups.members[target]) + len(taken) < 64:
        ends = [v for v in inside if _is_read_outside(groups, v, inside)]
        if len(ends) == 1:
            whole.append(len(taken))
        following = _next_pointwise(groups, ends, inside)
        if following is None or following.result.shape != op.result.shape:
            break
        if _widens_bytes(following):
            break
        if any(_is_later_product(groups, v, op) for v in following.operands if v not in inside):
            break
        taken.append(groups.group_of[following])
        inside.add(following.result)
    for count in reversed(whole):
        if groups.can_merge_all([target, *taken[:count]]):
            for source in taken[:count]:
                groups.merge(source, target)
            return


def _widens_bytes(op: Op) -> bool:
    """True if `op` makes larger numbers of 8-bit integers: better done by who reads them."""
    source = op.operands[0].dtype
    return op.name == "convert" and source in BYTES and op.result.dtype.bits > source.bits


def _is_later_product(groups: Groups, value: Value, op: Op) -> bool:
    """True if `value` is a contraction after `op`, or made of one that nobody else reads.

    The last of several contractions that are summed up takes the sum, and each before it the sum
    so far, so that no kernel reads them all.
    """
    pending = [value]
    while pending:
        value = pending.pop()
        producer = groups.producers.get(value)
        if producer is None or groups.order[producer] < groups.order[op]:
            continue
        if producer.name in CONTRACTIONS:
            return True
        if is_pointwise(producer) and len(groups.users.get(value, ())) == 1:
            pending.extend(producer.operands)
    return False


def _is_read_outside(groups: Groups, value: Value, inside: set[Value]) -> bool:
    users = groups.users.get(value, [])
    return value in groups.function.results or any(u.results[0] not in inside for u in users)


def _next_pointwise(groups: Groups, ends: Sequence[Value], inside: set[Value]) -> Op | None:
    """The first op of a group of its own that reads some of `ends` and reads them pointwise."""
    readers = {u for v in ends for u in groups.users.get(v, ()) if u.results[0] not in inside}
    for reader in sorted(readers, key=groups.order.__getitem__):
        group = groups.group_of.get(reader, -1)
        if group < 0 or len(groups.members[group]) > 1 or groups.kind[group] != "loops":
            continue
        if all(is_pointwise_reader(reader, v) for v in reader.operands if v in inside):
            return reader
    return None


def is_pointwise_reader(op: Op, value: Value) -> bool:
    """True if `op` is an Element op of the shape of `value` that reads it at its own index."""
    lowering = REGISTRY[op.name].lowering
    return (
        isinstance(lowering, Element)
        and len(op.results) == 1
        and op.result.shape == value.shape
        and reads_pointwise(op, value)
    )
