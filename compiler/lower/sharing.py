"""Which values share memory: names of one tensor, and results written over operands.

A reshape, and a value that a loop only carries along, is another name of its operand.  A loop's
other results, an update of a box and a scatter are written *over* an operand: they start as its
elements and change some.  They take the operand's memory where nobody reads the operand later, else
memory of their own that the operand is copied to first.  What is a part of another tensor lies in
that tensor's memory (`concatenations.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Loops


def renamed(op: Op) -> list[tuple[int, int]]:
    """(operand, result) positions where the result is the operand under another name."""
    if op.name == "reshape":
        return [(0, 0)]
    return [(k, k) for k in range(len(op.operands)) if op.name == "while" and _is_carried(op, k)]


def overlaid(op: Op) -> list[tuple[int, int]]:
    """(operand, result) positions where the result starts as the operand's elements."""
    if op.name == "while":
        return [(k, k) for k in range(len(op.operands)) if not _is_carried(op, k)]
    if op.name != "fusion" or op.string("kind") not in ("update", "custom"):
        return []
    base = _base(op)
    return [] if base is None else [(op.regions[0].parameters.index(base), 0)]


def _is_carried(op: Op, position: int) -> bool:
    body = op.regions[1]
    return body.results[position] is body.parameters[position]


def hero_of(op: Op) -> Op:
    """The op that makes the first result of a fusion."""
    (region,) = op.regions
    return region.producers()[region.results[0]]


def _base(op: Op) -> Value | None:
    """The value in a fusion's region that its result is written over."""
    hero = hero_of(op)
    if op.string("kind") == "update":
        return hero.operands[0]
    lowering = REGISTRY[hero.name].lowering
    over = lowering.over if isinstance(lowering, Loops) else None
    return None if over is None else hero.operands[over]


@dataclass(frozen=True, slots=True)
class Part:
    """The tensor in which a tensor lies, and at which byte."""

    whole: Value
    offset: int


class Sharing:
    """The groups of values that lie in one place (see the module's docstring).

    `tensor(value)` stands for all names of a tensor; `home(value)` for all tensors that use one
    memory, one after the other or as its `parts`; what is in `lasting` is never overwritten.
    `starts[home]` and `ends[home]` are the positions of the first op that writes a part of the
    memory and of the last op that uses it, `copies[op]` lists the (operand, result) pairs to copy
    before `op`.
    """

    def __init__(
        self,
        function: Function,
        layouts: Mapping[Value, Layout],
        in_place: bool = True,
        lasting: Collection[Value] = (),
        parts: Mapping[Value, Part] | None = None,
    ) -> None:
        self._function, self._lasting, self._parts = function, lasting, parts or {}
        self._producers = function.producers()
        self._step = {op: n for n, op in enumerate(function.ops)}
        self._first: dict[Value, Value] = {}
        for op in function.ops:
            for operand, result in renamed(op):
                self._first[op.results[result]] = self.tensor(op.operands[operand])
        self._last = self._last_uses()
        self._returned = {self.tensor(v) for v in function.results}
        self._homes: dict[Value, Value] = {}
        self.copies: dict[Op, list[tuple[Value, Value]]] = {}
        if in_place:
            self._overlay(layouts)
        self.ends: dict[Value, int] = {}
        for value, step in self._last.items():
            home = self.home(value)
            self.ends[home] = max(step, self.ends.get(home, -1))
        self.starts: dict[Value, int] = {}
        for part in self._parts:
            home, step = self.home(part), self._step[self._producers[part]]
            self.starts[home] = min(step, self.starts.get(home, step))

    def tensor(self, value: Value) -> Value:
        """The first name of what `value` is a name of."""
        return self._first.get(value, value)

    def home(self, value: Value) -> Value:
        """The first tensor in the memory that `value` lies in, or the whole that it is a part of."""
        return self._place(value)[0]

    def offset(self, value: Value) -> int:
        """The byte of its home's memory where `value` begins."""
        return self._place(value)[1]

    def _place(self, value: Value) -> tuple[Value, int]:
        tensor = self.tensor(value)
        home, offset = self._homes.get(tensor, tensor), 0
        while home in self._parts:
            part = self._parts[home]
            home, offset = part.whole, offset + part.offset
        return home, offset

    def _last_uses(self) -> dict[Value, int]:
        ends: dict[Value, int] = {}
        for op in self._function.ops:
            for value in op.operands if op.name != "reshape" else ():
                ends[self.tensor(value)] = self._step[op]
        return ends

    def _overlay(self, layouts: Mapping[Value, Layout]) -> None:
        donors = self._donors()
        for op in self._function.ops:
            for operand, result in overlaid(op):
                before, after = op.operands[operand], op.results[result]
                plain = all(v not in layouts or layouts[v].is_row_major for v in (before, after))
                if plain and self._is_free(op, operand, donors):
                    self._homes[after] = self.home(before)
                else:
                    self.copies.setdefault(op, []).append((before, after))

    def _is_free(self, op: Op, operand: int, donors: Mapping[Value, set[Op]]) -> bool:
        """True if the operand's memory may be overwritten by `op`."""
        tensor = self.tensor(op.operands[operand])
        names = [v for v in op.operands if self.tensor(v) is tensor]
        if len(names) > 1 or self._last[tensor] != self._step[op] or tensor in self._returned:
            return False
        if op.name == "fusion" and _reads(op, op.regions[0].parameters[operand]) > 1:
            return False
        home = self.home(tensor)
        if home in self._lasting:
            return False
        if home in self._function.parameters:
            return op in donors.get(home, ())
        maker = self._producers[home]
        return maker.name != "constant"

    def _donors(self) -> dict[Value, set[Op]]:
        """The ops by which each donated parameter becomes the result that takes its memory."""
        found: dict[Value, set[Op]] = {}
        for position, donor in self._function.aliases.items():
            parameter = self._function.parameters[donor]
            value = self.tensor(self._function.results[position])
            chain: set[Op] = set()
            while (op := self._producers.get(value)) is not None:
                before = [o for o, r in overlaid(op) if op.results[r] is value]
                if not before:
                    break
                chain.add(op)
                value = self.tensor(op.operands[before[0]])
            if value is parameter:
                found[parameter] = chain
        return found


def _reads(op: Op, parameter: Value) -> int:
    (region,) = op.regions
    return sum(v is parameter for o in region.ops for v in o.operands)
