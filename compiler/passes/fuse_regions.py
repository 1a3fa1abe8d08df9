"""Turns a partition into `fusion` ops whose regions are the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.function import Function, Location, Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Loops
from tensorkiln.compiler.passes.groups import Groups


def build_fusions(groups: Groups, shared: Mapping[int, Sequence[Op]]) -> Function:
    """The function with one `fusion` a group; ops outside of groups stay where data flow allows."""
    function = groups.function
    ops: list[Op] = []
    placed: set[Op] = set()

    def place_outside(value: Value) -> None:
        """Emits the outside ops (constants, reshapes) that `value` comes from."""
        chain: list[Op] = []
        op = groups.producers.get(value)
        while op is not None and op not in groups.group_of and op not in placed:
            chain.append(op)
            placed.add(op)
            op = groups.producers.get(op.operands[0]) if op.operands else None
        ops.extend(reversed([op for op in chain if not _is_shared(op, shared)]))

    for group in groups.sorted():
        members = [*shared.get(group, ()), *groups.members[group]]
        members.sort(key=groups.order.__getitem__)
        control = groups.kind[group] == "control"
        fusion = members[0] if control else _fusion(groups, group, members)
        for value in fusion.operands:
            place_outside(value)
        ops.append(fusion)
    for value in function.results:
        place_outside(value)
    return Function(
        function.name,
        function.parameters,
        tuple(ops),
        function.results,
        function.result_names,
        function.aliases,
        function.symbols,
    )


def _is_shared(op: Op, shared: Mapping[int, Sequence[Op]]) -> bool:
    return any(op in ops for ops in shared.values())


def _fusion(groups: Groups, group: int, members: Sequence[Op]) -> Op:
    inside = {value for op in members for value in op.results}
    memory = _written_over(groups.kind[group], members)
    literals: dict[Op, None] = {}
    inputs: dict[Value, None] = {}
    for op in members:
        for value in op.operands:
            producer = groups.producers.get(value)
            if value in inside:
                continue
            if producer is not None and _is_literal(producer) and value is not memory:
                literals[producer] = None
            else:
                inputs[value] = None
    outputs = groups.outputs(group)
    region_ops = (*literals, *members)
    region = Function(f"{_title(members)}", tuple(inputs), region_ops, tuple(outputs))
    # Region values are the outer function's own: a parameter of the region is the operand itself,
    # a result of the region the fusion's result, so that no renaming is needed to follow data.
    location = next((op.location for op in reversed(members) if op.location.node), Location())
    attributes = {"kind": groups.kind[group], "stopped": _stopped(groups, group, outputs)}
    return Op("fusion", tuple(inputs), tuple(outputs), attributes, (region,), location)


def _written_over(kind: str, members: Sequence[Op]) -> Value | None:
    """The value whose memory the group's result takes: a literal has none."""
    hero = members[-1]
    if kind == "update":
        return hero.operands[0]
    lowering = REGISTRY[hero.name].lowering
    over = lowering.over if isinstance(lowering, Loops) else None
    return None if over is None else hero.operands[over]


def _stopped(groups: Groups, group: int, outputs: Sequence[Value]) -> str:
    """Why the group's results are written to memory instead of being fused into their readers."""
    reasons: dict[str, None] = {}
    for value in outputs:
        readers = groups.users.get(value, [])
        targets = dict.fromkeys(groups.group_of.get(u, -1) for u in readers)
        targets.pop(group, None)
        if value in groups.function.results:
            reasons["a result"] = None
        if len(targets) > 1:
            reasons[f"{len(targets)} readers"] = None
        elif -1 in targets:
            reasons["renamed by reshape"] = None
        elif targets:
            reasons[_refused(groups, group, next(iter(targets)))] = None
    return "; ".join(reasons)


def _refused(groups: Groups, group: int, target: int) -> str:
    kind, reader = groups.kind[group], groups.kind[target]
    if not groups.can_merge(group, target):
        return f"{reader} also reads it by way of another kernel"
    if kind == "loops":
        return f"{reader} would compute it more than once or not in lanes"
    return f"{kind} ends where {reader} begins"


def _is_literal(op: Op) -> bool:
    return op.name == "constant" and op.result.type.elements == 1


def _title(members: Sequence[Op]) -> str:
    names = [op.name for op in members if op.name != "broadcast_in_dim"] or [members[0].name]
    distinct = list(dict.fromkeys(names))
    return "_".join(distinct[:4]) + ("_etc" if len(distinct) > 4 else "")
