"""Fusion of readers: a product of matrices takes the pointwise groups that read its result.

    h = dot_general(x, y)                 h, g = fusion(x, y) {
    g = fusion(h) { gelu }         ->         h = dot_general(x, y)
                                              g = gelu(h) }

What the groups store is stored in either form, so it never costs memory traffic and saves that of
reading `h`.  Groups that read other large tensors stay alone: a product visits its result in
tiles, and an update of Adam's, say, streams through memory faster in rows (measured: 12.4 ms apart,
14.0 ms in one kernel, for 3136 x 1024 weights and a batch of 128).

A product of batches of matrices is also stored in another order of dims, where nobody reads it in
its own: rows that stay rows can lie anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.passes.access import is_pointwise, reads_pointwise
from tensorkiln.compiler.passes.fuse_kinds import DUPLICABLE
from tensorkiln.compiler.passes.fuse_producers import Shared
from tensorkiln.compiler.passes.groups import Groups

MOST_RESULTS = 4
NEAR_BYTES = 1 << 18  # of other operands that the second-level cache keeps
# Deeper products keep partial sums in their result, which then must be the only one.
MOST_DEPTH = 1024


def take_readers(groups: Groups, ops: Sequence[Op], shared: Shared) -> None:
    """Merges groups of pointwise ops into the product whose result they read (see above)."""
    holders: dict[Op, set[int]] = {}  # the groups in which a shared op is computed
    for group, again in shared.items():
        for op in again:
            holders.setdefault(op, set()).add(group)
    for op in ops:
        if op.name != "dot_general" or depth(op) > MOST_DEPTH:
            continue
        target = groups.group_of[op]
        if groups.kind[target] != "contract":
            continue
        for source in _readers(groups, target, holders):
            if _is_taken(groups, target, source, shared):
                groups.merge(source, target)
                here = shared.setdefault(target, [])
                for other in shared.pop(source, ()):
                    holders[other].discard(source)
                    if other not in here:
                        holders[other].add(target)
                        here.append(other)


def store_turned(groups: Groups, ops: Sequence[Op]) -> None:
    """Merges a transpose that keeps rows into the product that alone it reads.

    After everything else: what reads the transposed result has other indices than the product.
    """
    for op in ops:
        if op.name != "dot_general" or not op.ints("lhs_batch") or not op.result.type.elements:
            continue
        target = groups.group_of[op]
        made = groups.outputs(target)
        if groups.kind[target] != "contract" or op.result.dtype not in (F32, F64):
            continue
        readers = groups.users.get(made[0], ())
        if len(made) != 1 or len(readers) != 1 or groups.is_returned(made[0]):
            continue
        (reader,) = readers
        source = groups.group_of.get(reader)
        if reader.name != "transpose" or source is None or groups.members[source] != [reader]:
            continue
        rows_stay = reader.ints("permutation")[-1] == reader.result.type.rank - 1
        if rows_stay and made[0].type == op.result.type and groups.can_merge(target, source):
            groups.merge(source, target)


def depth(op: Op) -> int:
    """The number of products that a dot_general adds up for each number of its result."""
    return math.prod(op.operands[0].shape[dim] for dim in op.ints("lhs_contracting"))


def _readers(groups: Groups, target: int, holders: Mapping[Op, set[int]]) -> list[int]:
    """The pointwise groups that read results of group `target`, first ones first."""
    made = set(groups.outputs(target))
    users = {user for value in made for user in groups.users.get(value, ())}
    found = {groups.group_of[user] for user in users if user in groups.group_of}
    found.update(group for user in users for group in holders.get(user, ()))
    readers = [n for n in found if groups.kind[n] == "loops"]
    return sorted(readers, key=lambda n: groups.order[groups.members[n][0]])


def _is_taken(groups: Groups, target: int, source: int, shared: Shared) -> bool:
    made = groups.outputs(target)
    shape = made[0].shape
    members = [*groups.members[source], *shared.get(source, ())]
    for op in members:
        if op.result.shape != shape:
            return False
        if not is_pointwise(op) and op.name not in DUPLICABLE:
            return False
        if not all(reads_pointwise(op, v) for v in op.operands if v in made):
            return False
    inner = {v for op in (*members, *groups.members[target]) for v in op.results}
    read = dict.fromkeys(v for op in members for v in op.operands if v not in inner)
    if sum(v.type.bytes for v in read if v.shape == shape) > NEAR_BYTES:
        return False
    inside = {*groups.members[target], *groups.members[source]}
    stored = [
        v
        for v in (*made, *groups.outputs(source))
        if groups.is_returned(v) or not inside.issuperset(groups.users.get(v, ()))
    ]
    return len(stored) <= MOST_RESULTS and groups.can_merge(target, source)
