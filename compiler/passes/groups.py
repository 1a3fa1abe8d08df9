"""The partition of a function's ops into groups, kept acyclic while groups are merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorkiln.compiler.ir.function import Function, Op, Value


class Groups:
    """Groups of ops, each with a kind; merging two keeps the graph of groups acyclic."""

    def __init__(self, function: Function, ops: Sequence[Op]) -> None:
        self.function = function
        self.order = {op: position for position, op in enumerate(function.ops)}
        self.producers = function.producers()
        self.users = function.users()
        self.group_of = {op: position for position, op in enumerate(ops)}
        self.members: dict[int, list[Op]] = {n: [op] for op, n in self.group_of.items()}
        self.kind: dict[int, str] = {}
        self.reason: dict[int, str] = {}
        self._results = set(function.results)

    def inputs(self, group: int) -> Iterable[int]:
        """The groups that `group` reads from, itself excluded."""
        return dict.fromkeys(
            n
            for op in self.members[group]
            for value in op.operands
            for n in self._sources(value)
            if n != group
        )

    def _sources(self, value: Value) -> Iterable[int]:
        # Ops outside of every group (aliases such as reshape) are looked through.
        pending = [value]
        while pending:
            op = self.producers.get(pending.pop())
            if op is None:
                continue
            if op in self.group_of:
                yield self.group_of[op]
            else:
                pending.extend(op.operands)

    def _readers(self, group: int) -> Iterable[int]:
        """The groups that read from `group`, itself excluded."""
        pending = [value for op in self.members[group] for value in op.results]
        while pending:
            for op in self.users.get(pending.pop(), ()):
                reader = self.group_of.get(op)
                if reader is None:
                    pending.extend(op.results)
                elif reader != group:
                    yield reader

    def unshaped(self, value: Value) -> Value:
        """The value that `value` is a reshape of, or itself."""
        while (op := self.producers.get(value)) is not None and op.name == "reshape":
            (value,) = op.operands
        return value

    def can_merge(self, early: int, late: int) -> bool:
        """True if no path leads from `early` to `late` (or back) through a third group."""
        return not self._detour(early, late) and not self._detour(late, early)

    def can_merge_all(self, chosen: Sequence[int]) -> bool:
        """True if no path leads from one of the chosen groups to another through a third one."""
        inside = set(chosen)
        floor = min(self.order[op] for group in chosen for op in self.members[group])
        pending = [n for group in chosen for n in self.inputs(group) if n not in inside]
        seen = set(pending)
        while pending:
            for before in self.inputs(pending.pop()):
                if before in inside:
                    return False
                late = max(self.order[op] for op in self.members[before]) >= floor
                if late and before not in seen:
                    seen.add(before)
                    pending.append(before)
        return True

    def _detour(self, source: int, target: int) -> bool:
        if all(group == target for group in self._readers(source)):
            return False
        floor = min(self.order[op] for op in self.members[source])
        seen: set[int] = {target, source}
        pending = [n for n in self.inputs(target) if n != source]
        while pending:
            group = pending.pop()
            if group in seen:
                continue
            seen.add(group)
            if max(self.order[op] for op in self.members[group]) < floor:
                continue
            for before in self.inputs(group):
                if before == source:
                    return True
                pending.append(before)
        return False

    def merge(self, source: int, target: int) -> None:
        """Moves all ops of group `source` to group `target`."""
        for op in self.members.pop(source):
            self.group_of[op] = target
            self.members[target].append(op)
        self.members[target].sort(key=self.order.__getitem__)
        self.kind.pop(source, None)

    def outputs(self, group: int) -> list[Value]:
        """The values made in `group` that are needed outside of it."""
        found: list[Value] = []
        for op in self.members[group]:
            for value in op.results:
                outside = any(self.group_of.get(u) != group for u in self.users.get(value, ()))
                # Loops of an op's own read back what they wrote: each of its results has memory.
                if (
                    outside
                    or value in self._results
                    or self.kind.get(group) in ("custom", "recurrent")
                ):
                    found.append(value)
        return found

    def users_of(self, op: Op) -> list[Op]:
        """The ops that read any result of `op`."""
        return list(dict.fromkeys(u for v in op.results for u in self.users.get(v, ())))

    def is_result(self, op: Op) -> bool:
        """True if the function returns a result of `op`."""
        return any(map(self.is_returned, op.results))

    def is_returned(self, value: Value) -> bool:
        """True if `value` is a result of the function."""
        return value in self._results

    def sorted(self) -> list[int]:
        """The groups in an order that respects data flow, early ops first."""
        first = {n: self.order[ops[0]] for n, ops in self.members.items()}
        done: set[int] = set()
        result: list[int] = []

        def visit(root: int) -> None:
            stack = [(root, False)]
            while stack:
                group, ready = stack.pop()
                if ready:
                    result.append(group)
                    continue
                if group in done:
                    continue
                done.add(group)
                stack.append((group, True))
                stack.extend((n, False) for n in self.inputs(group) if n not in done)

        for group in sorted(self.members, key=first.__getitem__):
            visit(group)
        return result
