"""What `simplify_control` does to one loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.ir.function import Array, Function, Op, Value
from tensorkiln.compiler.passes.fresh_names import FreshNames
from tensorkiln.compiler.passes.rewriting import live

Producer = Callable[[Value], Op | None]
# Read where they are needed, these cost less than memory for what they give.
_STAY = frozenset(
    ("constant", "iota", "broadcast_in_dim", "reshape", "transpose", "slice", "reverse", "convert")
)


def region_literal(value: Value, producer: Producer) -> int | None:
    """The integer or bool that a value is, where its producer is a constant of one element."""
    op = producer(value)
    if op is None or op.name != "constant" or value.dtype.is_float or value.type.rank:
        return None
    data: Array = op.array("value")
    return int(data.item())


@dataclass(frozen=True)
class Sunk:
    """Ops that make a constant, or a constant repeated, for use in another function."""

    ops: tuple[Op, ...]

    def copied(self, names: FreshNames) -> tuple[list[Op], Value]:
        """Copies with names of their own, and the last one's result."""
        values: dict[Value, Value] = {}
        copies = []
        for op in self.ops:
            fresh = tuple(Value(names.fresh(v.name), v.type) for v in op.results)
            operands = tuple(values[v] for v in op.operands)
            copies.append(replace(op, operands=operands, results=fresh))
            values.update(zip(op.results, fresh, strict=True))
        return copies, copies[-1].result


def sink(value: Value, producer: Producer) -> Sunk | None:
    """The ops to repeat in a region instead of handing `value` over, if it is a constant."""
    op = producer(value)
    if op is None:
        return None
    if op.name == "constant":
        return Sunk((op,))
    if op.name == "broadcast_in_dim" and (inner := sink(op.operands[0], producer)) is not None:
        return Sunk((*inner.ops, op))
    return None


class Loop:
    """A loop made simpler: ops to put before it, itself (None if it never runs), and the values
    that stand for the results that it has no more."""

    def __init__(self, op: Op, used: Sequence[bool], producer: Producer, names: FreshNames) -> None:
        self.before: list[Op] = []
        self.op: Op | None = op
        self.values: dict[Value, Value] = {}
        self._names, self._producer = names, producer
        self.cond, self.body = op.regions
        self.operands = list(op.operands)
        self.results: list[Value | None] = list(op.results)
        if region_literal(self.cond.results[0], self.cond.producers().get) == 0:
            self.op = None
            self.values = dict(zip(op.results, op.operands, strict=True))
            return
        self._forward(used)
        self._sink()
        self._hoist()
        kept = self._needed(used)
        same = (self.cond, self.body) == op.regions and len(kept) == len(op.results)
        if self.values or not same:
            self.op = self._renewed(op, kept)

    def _invariant(self, position: int) -> bool:
        return self.body.results[position] is self.body.parameters[position]

    def _forward(self, used: Sequence[bool]) -> None:
        """Results that no trip changes are the operands."""
        for k, result in enumerate(self.results):
            if result is not None and used[k] and self._invariant(k):
                self.values[result] = self.operands[k]

    def _sink(self) -> None:
        """Constants are made in the regions instead of being carried."""
        for k, operand in enumerate(self.operands):
            chain = sink(operand, self._producer) if self._invariant(k) else None
            if chain is not None:
                self.cond = _sunk(self.cond, k, chain, keep=False)
                self.body = _sunk(self.body, k, chain, keep=True)

    def _hoist(self) -> None:
        """Ops that give the same in every trip go before the loop."""
        outside = {
            p: self.operands[k] for k, p in enumerate(self.body.parameters) if self._invariant(k)
        }
        fixed = set(outside)
        moving: list[Op] = []
        for op in self.body.ops:
            if not op.regions and all(v in fixed for v in op.operands):
                fixed.update(op.results)
                moving.append(op)
        worth = [op for op in moving if op.name not in _STAY]
        if not worth:
            return
        moving = live(moving, [v for op in worth for v in op.results])
        stay = set(worth)
        for op in moving:
            fresh = tuple(Value(self._names.fresh(v.name), v.type) for v in op.results)
            operands = tuple(outside[v] for v in op.operands)
            outside.update(zip(op.results, fresh, strict=True))
            self.before.append(replace(op, operands=operands, results=fresh))
        rest = [op for op in self.body.ops if op not in stay]
        read = {v for op in rest for v in op.operands} | set(self.body.results)
        for op in worth:
            for value in op.results:
                if value in read:
                    self._carry(value, outside[value])
        self.body = replace(self.body, ops=tuple(rest))

    def _carry(self, inner: Value, operand: Value) -> None:
        """`operand` as one more value that no trip changes; the body knows it as `inner`."""
        other = Value(FreshNames(self.cond).fresh(inner.name), inner.type)
        self.operands.append(operand)
        self.results.append(None)
        self.cond = replace(self.cond, parameters=(*self.cond.parameters, other))
        self.body = replace(
            self.body,
            parameters=(*self.body.parameters, inner),
            results=(*self.body.results, inner),
        )

    def _needed(self, used: Sequence[bool]) -> list[int]:
        """Positions of the carried values that a used result or the condition depends on."""
        read = {v for op in self.cond.ops for v in op.operands} | set(self.cond.results)
        wanted = {
            k
            for k, result in enumerate(self.results)
            if (result is not None and used[k] and result not in self.values)
            or self.cond.parameters[k] in read
        }
        while True:
            ends = [self.body.results[k] for k in wanted]
            reach = {v for op in live(self.body.ops, ends) for v in op.operands} | set(ends)
            more = {k for k, p in enumerate(self.body.parameters) if p in reach}
            # A value that is carried on unchanged is needed only by who reads it.
            more = {k for k in more if not self._invariant(k) or _is_read(self.body, k)} | wanted
            if more == wanted:
                return sorted(wanted)
            wanted = more

    def _renewed(self, op: Op, kept: Sequence[int]) -> Op:
        results = []
        for k in kept:
            result = self.results[k]
            if result is None or result in self.values:
                result = Value(
                    self._names.fresh(self.body.parameters[k].name), self.operands[k].type
                )
            results.append(result)
        ends = tuple(self.body.results[k] for k in kept)
        body = replace(
            self.body,
            parameters=tuple(self.body.parameters[k] for k in kept),
            ops=tuple(live(self.body.ops, ends)),
            results=ends,
        )
        cond = replace(self.cond, parameters=tuple(self.cond.parameters[k] for k in kept))
        operands = tuple(self.operands[k] for k in kept)
        return replace(op, operands=operands, results=tuple(results), regions=(cond, body))


def _is_read(region: Function, position: int) -> bool:
    parameter = region.parameters[position]
    if any(parameter in op.operands for op in region.ops):
        return True
    return any(v is parameter for k, v in enumerate(region.results) if k != position)


def _sunk(region: Function, position: int, chain: Sunk, keep: bool) -> Function:
    """`region` that reads a constant of its own; `keep` leaves the carried value as it is."""
    parameter = region.parameters[position]
    reads = any(parameter in op.operands for op in region.ops)
    others = [
        k for k, v in enumerate(region.results) if v is parameter and not (keep and k == position)
    ]
    if not reads and not others:
        return region
    copies, value = chain.copied(FreshNames(region))
    values: Mapping[Value, Value] = {parameter: value}
    ops = [replace(op, operands=tuple(values.get(v, v) for v in op.operands)) for op in region.ops]
    results = tuple(value if k in others else v for k, v in enumerate(region.results))
    return replace(region, ops=(*copies, *ops), results=results)
