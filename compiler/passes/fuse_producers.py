"""Fusion of producers: Element ops join the groups that read them (see `fuse`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.integer_products import PRODUCTS
from tensorkiln.compiler.passes.access import is_pointwise, reads_pointwise
from tensorkiln.compiler.passes.fuse_kinds import (
    CONTRACTIONS,
    DUPLICABLE,
    MOVEMENT,
    WINOGRAD,
    is_small_update,
)
from tensorkiln.compiler.passes.groups import Groups

MOST_COPIES = 3
MOST_AGAIN = 3  # ops between what a row's kernel reads and what is computed from it again
MOST_OPS = 96  # of a group: its kernel's expressions are as deep as its chains are long
# Functions of one number that a few instructions compute ...
CHEAP = frozenset(("add", "subtract", "multiply", "negate", "abs", "maximum", "minimum"))
# ... and those of a few dozen, still less than memory takes beyond the near caches.
DEAR = frozenset(("erf", "exponential", "logistic", "tanh"))
FAR_BYTES = 1 << 20

Shared = dict[int, list[Op]]


def absorb_producers(groups: Groups, ops: Sequence[Op]) -> Shared:
    """Merges Element ops into the groups that read them, last ops first.

    Returns, for each group, the shared cheap ops that are to be computed in it again.
    """
    shared: Shared = {}
    copied: dict[Op, list[int]] = {}
    for op in reversed(ops):
        source = groups.group_of[op]
        if groups.kind[source] not in ("loops", "rows") or op not in groups.members[source]:
            continue
        users = groups.users_of(op)
        if any(u not in groups.group_of and u not in copied for u in users):
            continue
        if groups.kind[source] == "rows":
            targets = _targets(groups, users, copied)
            if _is_left_out(groups, op, source, targets):
                for target in dict.fromkeys((source, *targets)):
                    shared.setdefault(target, []).append(op)
                copied[op] = list(dict.fromkeys((source, *targets)))
                groups.members[source].remove(op)
                del groups.group_of[op]
            continue
        targets = [n for n in _targets(groups, users, copied) if n != source]
        again = any(u in copied for u in users)
        if len(targets) == 1 and not again and _accepts(groups, targets[0], source, op):
            groups.merge(source, targets[0])
        elif len(targets) > 1 and _is_copied(groups, op, source, targets):
            for target in targets:
                shared.setdefault(target, []).append(op)
            copied[op] = targets
            del groups.members[source], groups.group_of[op], groups.kind[source]
        elif len(targets) > 1 and not again:
            first = min(targets, key=lambda n: groups.order[groups.members[n][0]])
            if groups.kind[first] == "loops" and _accepts(groups, first, source, op):
                groups.merge(source, first)
    return shared


def _targets(groups: Groups, users: Sequence[Op], copied: Mapping[Op, list[int]]) -> list[int]:
    """The groups in which `users` are computed."""
    found: dict[int, None] = {}
    for user in users:
        found.update(dict.fromkeys(copied.get(user) or [groups.group_of[user]]))
    return list(found)


def _is_copied(groups: Groups, op: Op, source: int, targets: Sequence[int]) -> bool:
    """True if `op` is computed again in every group that reads it."""
    if groups.is_result(op) or len(groups.members[source]) > 1:
        return False
    few = len(targets) <= MOST_COPIES
    cheap = few and (_is_cheap(groups, op) or _names_batches(groups, op, targets))
    if op.name not in DUPLICABLE and not cheap:
        return False
    return all(_takes(groups, t, op) for t in targets)


def _is_left_out(groups: Groups, op: Op, source: int, targets: Sequence[int]) -> bool:
    """True if `op` of a row's group is computed again by others instead of being stored.

    That is a number of each row, repeated, or a cheap function of such ones and of one tensor that
    is in memory anyway: x - mean, say, which the gradient of a norm reads.
    """
    if all(t == source for t in targets) or groups.is_result(op):
        return False
    if len(targets) > MOST_COPIES or not all(_takes(groups, t, op) for t in targets):
        return False
    return op.name in DUPLICABLE or _is_from_memory(groups, op, source, MOST_AGAIN)


def _is_from_memory(groups: Groups, op: Op, source: int, depth: int) -> bool:
    """True for at most `depth` cheap ops from one tensor that `source` reads."""
    if depth == 0 or op.name not in CHEAP or not is_pointwise(op):
        return False
    wide = [v for v in dict.fromkeys(op.operands) if not _is_repeated(groups, v)]
    if len(wide) != 1:
        return False
    maker = groups.producers.get(groups.unshaped(wide[0]))
    if maker is None or groups.group_of.get(maker) != source:
        return _is_stored(groups, wide[0], source)
    return _is_from_memory(groups, maker, source, depth - 1)


def _is_repeated(groups: Groups, value: Value) -> bool:
    """True for a broadcast of fewer numbers."""
    op = groups.producers.get(value)
    return op is not None and op.name in DUPLICABLE


def _is_stored(groups: Groups, value: Value, source: int) -> bool:
    """True if `value`, made outside of group `source`, is in memory whoever reads it."""
    maker = groups.producers.get(groups.unshaped(value))
    if maker is None or groups.kind.get(groups.group_of.get(maker, -1)) != "loops":
        return True
    return any(groups.group_of.get(u) != source for u in groups.users.get(value, ()))


def _names_batches(groups: Groups, op: Op, targets: Sequence[int]) -> bool:
    """True for a transpose that products read row by row, wherever the rows lie."""
    if op.name != "transpose" or op.ints("permutation")[-1] != op.result.type.rank - 1:
        return False
    return all(groups.kind[target] == "contract" for target in targets)


def _is_cheap(groups: Groups, op: Op) -> bool:
    """True for a function of one tensor that is in memory anyway, faster computed than read."""
    if op.name not in CHEAP and not (op.name in DEAR and op.result.type.bytes >= FAR_BYTES):
        return False
    wide = dict.fromkeys(v for v in op.operands if not _is_scalar(groups, v))
    return is_pointwise(op) and len(wide) == 1


def _is_scalar(groups: Groups, value: Value) -> bool:
    """True for one number, broadcast or not."""
    op = groups.producers.get(value)
    if op is not None and op.name == "broadcast_in_dim":
        return op.operands[0].type.elements == 1
    return value.type.elements == 1


def _accepts(groups: Groups, target: int, source: int, op: Op) -> bool:
    if len(groups.members[source]) + len(groups.members[target]) > MOST_OPS:
        return False
    outside = [v for v in groups.outputs(source) if _read_elsewhere(groups, v, source, target)]
    if outside:
        # An extra result is possible only in a loop nest of the same shape, read pointwise there.
        if groups.kind[target] != "loops" or any(
            v.shape != _shape(groups, target) for v in outside
        ):
            return False
        readers = [
            u for v in outside for u in groups.users.get(v, ()) if groups.group_of.get(u) == target
        ]
        if not all(reads_pointwise(u, v) for v in outside for u in readers if v in u.operands):
            return False
        return groups.can_merge(source, target)
    if not all(_takes(groups, target, member) for member in groups.members[source]):
        return False
    return groups.can_merge(source, target)


def _read_elsewhere(groups: Groups, value: Value, source: int, target: int) -> bool:
    if value in groups.function.results:
        return True
    return any(groups.group_of.get(u) not in (source, target) for u in groups.users.get(value, ()))


def _shape(groups: Groups, group: int) -> tuple[int, ...]:
    return groups.outputs(group)[0].shape


def _takes(groups: Groups, target: int, op: Op) -> bool:
    """True if a group of the target's kind may compute `op` where it reads it."""
    kind = groups.kind[target]
    if kind in ("loops", "concatenate", "rows"):
        return True
    if kind == "attention":
        return op.name in ("transpose", "convert")
    if kind == "update":
        return _feeds_box(groups, op, target)
    if kind == "reduce":
        windows = any(m.name == "reduce_window" for m in groups.members[target])
        return op.name in MOVEMENT or not windows
    if kind == "contract":
        hero = next(m for m in groups.members[target] if m.name in CONTRACTIONS)
        epilogue = not _feeds(groups, op, hero, target)
        if hero.name in PRODUCTS:  # they read bytes where they lie
            return epilogue
        if epilogue or hero.name == "dot_general":
            return epilogue or op.name in ("transpose", "convert")
        return op.name == "pad" and not any(op.ints("interior")) and _is_depthwise(hero)
    if kind == "winograd":
        hero = next(m for m in groups.members[target] if m.name in WINOGRAD)
        return not _feeds(groups, op, hero, target)
    return False


def _is_depthwise(op: Op) -> bool:
    """True for a convolution of each channel alone, which reads what it needs a vector at a time."""
    outputs, inputs, *_ = (op.operands[1].shape[d] for d in op.ints("rhs_spec"))
    return op.integer("feature_groups") == outputs > 1 == inputs


def _feeds_box(groups: Groups, op: Op, target: int) -> bool:
    """True if an update may compute `op`: it must not need what the update is written over."""
    hero = next(m for m in groups.members[target] if is_small_update(m))
    base = groups.unshaped(hero.operands[0])
    if any(groups.unshaped(v) is base for v in op.operands):
        return False
    return not any(v is hero.operands[0] for v in op.results)


def _feeds(groups: Groups, op: Op, hero: Op, group: int) -> bool:
    """True if `hero` reads `op` directly or through ops of `group`."""
    pending, seen = list(hero.operands), set()
    while pending:
        producer = groups.producers.get(pending.pop())
        if producer is op:
            return True
        if producer is not None and producer not in seen and groups.group_of.get(producer) == group:
            seen.add(producer)
            pending.extend(producer.operands)
    return False
