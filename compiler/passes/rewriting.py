"""The one loop that every rewriting pass is: walk the ops in order and rebuild the function.

A pass hands `rewrite` a table of rules by op name.  A rule sees one op, whose operands are
already rewritten, and gives the values to use instead of its results, or None where it does not
apply.  What a rule makes through the rewriter goes through the rules too, so a rule has only to
take one step, and every step must lead to something simpler by an order in which nothing
grows for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from tensorkiln.compiler.ir.dims import is_static
from tensorkiln.compiler.ir.function import Array, Attribute, Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.runtime.errors import VerifyError

ANY = "*"  # the key of rules for every op


class Rewriter(Builder):
    """A builder that applies rules to each op before appending it, and knows who made a value."""

    def __init__(self, function: Function, rules: Rules) -> None:
        super().__init__(REGISTRY, function.name)
        self._rules = rules
        self._made: dict[Value, Op] = {}
        self._uses: dict[Value, int] = {}
        for value in function.parameters:
            self.fresh(value.name)
        for op in function.ops:
            for value in op.results:
                self.fresh(value.name)

    def producer(self, value: Value, name: str = "") -> Op | None:
        """The op that made `value` (if its name is `name`, where given), None for a parameter."""
        op = self._made.get(value)
        return op if op is not None and name in ("", op.name) else None

    def has_one_use(self, value: Value) -> bool:
        """False if more than one op or result of the function reads `value`."""
        return self._uses.get(value, 1) <= 1

    def used(self, value: Value, times: int) -> None:
        """Takes note of `times` more readers of `value`."""
        self._uses[value] = self._uses.get(value, 0) + times

    def literal(self, value: Value) -> Array | None:
        """The array, if `value` is a constant."""
        op = self.producer(value, "constant")
        return None if op is None else op.array("value")

    def splat(self, value: Value) -> Array | None:
        """The 0-d array, if `value` is a scalar constant or a broadcast one."""
        op = self.producer(value, "broadcast_in_dim")
        array = self.literal(value if op is None else op.operands[0])
        return array.reshape(()) if array is not None and array.size == 1 else None

    def op(
        self,
        name: str,
        operands: Sequence[Value] = (),
        attributes: Mapping[str, Attribute] | None = None,
        regions: tuple[Function, ...] = (),
    ) -> tuple[Value, ...]:
        """Appends an op, or what the rules make of it."""
        super().op(name, operands, attributes, regions)
        return self.place(self.ops.pop())

    def place(self, op: Op) -> tuple[Value, ...]:
        """Appends `op` itself, or what the rules make of it."""
        for rule in (*self._rules.get(op.name, ()), *self._rules.get(ANY, ())):
            found = rule(self, op)
            if found is not None:
                values = found if isinstance(found, tuple) else (found,)
                _check_types(op, values)
                return values
        return self.appended(op)

    def appended(self, op: Op) -> tuple[Value, ...]:
        """Appends `op` itself."""
        self.ops.append(op)
        self._made.update(dict.fromkeys(op.results, op))
        return op.results

    def keep(self, array: Array) -> Value:
        """A constant that is not copied: nobody else may write to `array`."""
        if array.ndim == 0:
            return self.constant(array)
        data = np.ascontiguousarray(array)
        data.setflags(write=False)
        return self.one("constant", value=data)

    def splat_like(self, number: Array, like: Value) -> Value:
        """The scalar `number` in the shape of `like`."""
        scalar = self.constant(number)
        return scalar if like.type.rank == 0 else self.broadcast(scalar, like)

    def broadcast(self, scalar: Value, like: Value) -> Value:
        """A rank-0 value in the shape of `like`."""
        return self.one("broadcast_in_dim", (scalar,), shape=like.type.shape, dimensions=())

    def rename(self, value: Value, name: str) -> Value:
        """`value`, called `name` if it was made by the last op (scalar constants are shared)."""
        if not self.ops or self.ops[-1].name == "constant" or self.ops[-1].results != (value,):
            return value
        op = self.ops.pop()
        del self._made[value]
        named = Value(name, value.type)
        self.ops.append(replace(op, results=(named,)))
        self._made[named] = self.ops[-1]
        return named


Replacement: TypeAlias = "Value | tuple[Value, ...] | None"
Rule: TypeAlias = Callable[[Rewriter, Op], Replacement]
Rules: TypeAlias = Mapping[str, Sequence[Rule]]


def rewrite(function: Function, rules: Rules) -> Function:
    """`function` with the rules applied once, in order, regions included, and dead ops removed.

    Names and locations are kept where an op survives or one op takes its place.  The same object
    comes back if nothing changed.
    """
    if ANY not in rules and not any(op.name in rules or op.regions for op in function.ops):
        return same_or_new(function, live(function.ops, function.results), function.results)
    rewriter = Rewriter(function, rules)
    values: dict[Value, Value] = {}
    uses = Counter(function.results)
    for op in function.ops:
        uses.update(op.operands)
    for op in function.ops:
        operands = tuple(values.get(v, v) for v in op.operands)
        regions = tuple(rewrite(region, rules) for region in op.regions)
        if operands == op.operands and regions == op.regions:
            candidate = op
        else:
            results = tuple(Value(v.name, v.type) for v in op.results)
            candidate = replace(op, operands=operands, regions=regions, results=results)
        before = len(rewriter.ops)
        if ANY in rules or op.name in rules:
            with rewriter.at(op.location):
                found = rewriter.place(candidate)
        else:
            found = rewriter.appended(candidate)
        if found != candidate.results and len(rewriter.ops) > before and len(found) == 1:
            found = (rewriter.rename(found[0], op.results[0].name),)
        for old, new in zip(op.results, found, strict=True):
            values[old] = new
            rewriter.used(new, uses[old])
    results = tuple(values.get(v, v) for v in function.results)
    return same_or_new(function, live(rewriter.ops, results), results)


def merged(*tables: Mapping[str, Sequence[Rule]]) -> Rules:
    """One table of all the rules, in the order of the tables."""
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: tuple(r for table in tables for r in table.get(name, ())) for name in names}


def same_or_new(function: Function, ops: Sequence[Op], results: Sequence[Value]) -> Function:
    """`function` itself if ops and results are its own, else a copy that has these."""
    if tuple(ops) == function.ops and tuple(results) == function.results:
        return function
    return replace(function, ops=tuple(ops), results=tuple(results))


def live(ops: Sequence[Op], results: Sequence[Value]) -> list[Op]:
    """The ops that `results` depend on, in order."""
    needed = set(results)
    kept: list[Op] = []
    for op in reversed(ops):
        if any(value in needed for value in op.results):
            needed.update(op.operands)
            kept.append(op)
    return kept[::-1]


def until_stable(function: Function, rules: Rules) -> Function:
    """Applies the rules again until nothing changes."""
    while (changed := rewrite(function, rules)) is not function:
        function = changed
    return function


def static(*values: Value) -> bool:
    """True if no shape has a symbol."""
    return all(is_static(value.type.shape) for value in values)


def _check_types(op: Op, values: Sequence[Value]) -> None:
    if [v.type for v in values] != [v.type for v in op.results]:
        old, new = (", ".join(str(v.type) for v in vs) for vs in (op.results, values))
        raise VerifyError(f"a rewrite of {op.name} {op.location} makes {new} of {old}")
