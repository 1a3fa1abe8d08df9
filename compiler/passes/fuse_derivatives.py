"""Fusion of derivatives: a product keeps functions of its result instead of the result.

    x = dot_general(a, b)                    h, d = fusion(a, b) {
    h = f(x)                                     x = dot_general(a, b)
    ...                           ->             h, d = f(x), f'(x) }
    y = dot_general(g, c) * f'(x)            y = fusion(g, c, d)

As many tensors are stored, and what is costly in `f` and its derivative is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.passes.access import is_pointwise
from tensorkiln.compiler.passes.fuse_kinds import DUPLICABLE
from tensorkiln.compiler.passes.fuse_producers import DEAR, MOST_OPS
from tensorkiln.compiler.passes.fuse_readers import MOST_DEPTH, depth
from tensorkiln.compiler.passes.groups import Groups

MOST_KEPT = 2


def keep_derivatives(groups: Groups, ops: Sequence[Op]) -> None:
    """Merges what is computed of a product's result into the product's group (see above)."""
    for op in ops:
        if op.name != "dot_general" or depth(op) > MOST_DEPTH:
            continue
        target = groups.group_of[op]
        outputs = groups.outputs(target)
        if groups.kind[target] != "contract" or len(outputs) != 1 or groups.is_returned(outputs[0]):
            continue
        (made,) = outputs
        found = _functions_of(groups, made)
        if not found or len(found) + len(groups.members[target]) > MOST_OPS:
            continue
        sources = [groups.group_of[member] for member in found]
        if _is_worth(groups, made, found) and groups.can_merge_all([target, *sources]):
            for source in sources:
                groups.merge(source, target)


def _functions_of(groups: Groups, made: Value) -> list[Op]:
    """The pointwise ops, alone in their groups, of `made` and numbers only, in order."""
    found: dict[Op, None] = {}
    inside = {made}
    pending = list(groups.users.get(made, ()))
    while pending:
        op = min(pending, key=groups.order.__getitem__)
        pending.remove(op)
        group = groups.group_of.get(op, -1)
        if op in found or len(groups.members.get(group, ())) != 1 or groups.kind[group] != "loops":
            continue
        if not is_pointwise(op) or not all(
            v in inside or _is_number(groups, v) for v in op.operands
        ):
            continue
        found[op] = None
        inside.add(op.result)
        pending.extend(groups.users.get(op.result, ()))
    return list(found)


def _is_worth(groups: Groups, made: Value, found: Sequence[Op]) -> bool:
    """True if two tensors are kept, each a costly function of `made` beside the other."""
    inside = set(found)
    if not inside.issuperset(groups.users[made]):
        return False
    kept = [
        op for op in found if not inside.issuperset(groups.users_of(op)) or groups.is_result(op)
    ]
    return len(kept) == MOST_KEPT and all(_is_dear(groups, made, op, kept) for op in kept)


def _is_dear(groups: Groups, made: Value, op: Op, kept: Sequence[Op]) -> bool:
    """True if `op` needs `made` and a costly op, whichever others of `kept` it reads."""
    ends = {other.result for other in kept if other is not op}
    pending, seen, dear = [op], set(), False
    needed = False
    while pending:
        current = pending.pop()
        seen.add(current)
        dear = dear or current.name in DEAR
        needed = needed or made in current.operands
        for value in current.operands:
            maker = groups.producers.get(value)
            if value is made or value in ends or maker is None or maker in seen:
                continue
            if maker.name not in DUPLICABLE:
                pending.append(maker)
    return dear and needed


def _is_number(groups: Groups, value: Value) -> bool:
    op = groups.producers.get(value)
    return op is not None and op.name in DUPLICABLE and op.operands[0].type.elements == 1
