"""Concatenations without copies: operands that are made where the result has them.

Where everything outside of the concatenated dim is one element in memory, an operand is one run of
bytes of the result.  It then lies there from the start: who makes it writes the result's part.

    %1 = fusion(...)                   offset 0 of %3's memory
    %2 = fusion(...)              ->   offset bytes(%1) of %3's memory
    %3 = concatenate(%1, %2)           nothing to do

The result's memory is then taken from the first operand on.  Where that would raise the peak of
memory (a feature kept for much later), the operand made first is copied as before.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel.program import ALIGNMENT, align
from tensorkiln.compiler.lower.layout import Layout, row_major
from tensorkiln.compiler.lower.sharing import Part, Sharing

_GROWTH = 1.04  # of the peak, for what is not copied


@dataclass(frozen=True)
class Joined:
    """`parts` tells in which tensor a tensor lies, `positions` which operands of a concatenation
    lie in its result."""

    parts: Mapping[Value, Part] = field(default_factory=dict)
    positions: Mapping[Op, tuple[int, ...]] = field(default_factory=dict)

    def is_done(self, op: Op) -> bool:
        """True for a concatenation with nothing left to copy."""
        return op in self.positions and len(self.positions[op]) == len(op.operands)


def join_concatenations(
    function: Function, layouts: Mapping[Value, Layout], lasting: Collection[Value] = ()
) -> Joined:
    """Which operands of a fused function's concatenations are made in their results.

    Values in `lasting` keep memory of their own; so does what is returned or written over.
    """
    candidates = [op for op in function.ops if _outer(op, layouts) == 1]
    if not candidates:
        return Joined()
    return _Joiner(function, layouts, lasting).run(candidates)


def _outer(op: Op, layouts: Mapping[Value, Layout]) -> int:
    """How many runs of memory an operand of the concatenation `op` is in its result; 0 if `op` is
    none or operands lie differently."""
    if op.name != "fusion" or op.string("kind") != "concatenate" or len(op.results) != 1:
        return 0
    region, result = op.regions[0], op.result
    (last, *others) = reversed(region.ops)
    if others or last.name != "concatenate" or not result.type.elements:
        return 0
    dim, layout = last.integer("dimension"), _layout(result, layouts)
    block = dict(layout.blocks).get(dim, 1)
    for value in last.operands:
        operand = op.operands[region.parameters.index(value)]
        if _layout(operand, layouts) != layout or operand.shape[dim] % block:
            return 0
    return math.prod(layout.physical_shape(result.shape)[: layout.order.index(dim)])


def _layout(value: Value, layouts: Mapping[Value, Layout]) -> Layout:
    return layouts.get(value) or row_major(len(value.shape))


def stored_bytes(value: Value, layouts: Mapping[Value, Layout]) -> int:
    """The bytes of a value in its layout, padding of blocks included."""
    shape = _layout(value, layouts).physical_shape(value.shape)
    return math.prod(shape) * value.dtype.bytes


@dataclass(frozen=True)
class _Life:
    start: int
    end: int
    size: int


class _Joiner:
    def __init__(
        self, function: Function, layouts: Mapping[Value, Layout], lasting: Collection[Value]
    ) -> None:
        self.layouts = layouts
        self.sharing = Sharing(function, layouts, lasting=lasting)
        self.step = {op: n for n, op in enumerate(function.ops)}
        self.makers = {v: op for op in function.ops if op.name == "fusion" for v in op.results}
        self.barred = set(lasting) | self._shared(function)
        self.lives = {v: self._life(v) for v in self.makers if self.sharing.home(v) is v}
        self.live = np.zeros(len(function.ops) + 1, np.int64)
        for life in self.lives.values():
            self._add(life, 1)
        self.most = _GROWTH * int(self.live.max(initial=0))
        self.parts: dict[Value, Part] = {}

    def _shared(self, function: Function) -> set[Value]:
        """Tensors that are returned, or that share memory in another way."""
        sharing = self.sharing
        found = {sharing.tensor(v) for v in function.results}
        for op in function.ops:
            for value in op.results:
                tensor, home = sharing.tensor(value), sharing.home(value)
                if tensor is not home:
                    found |= {tensor, home}
        return found | {v for pairs in sharing.copies.values() for pair in pairs for v in pair}

    def _life(self, value: Value) -> _Life:
        start = self.step[self.makers[value]]
        end = max(start, self.sharing.ends.get(value, start))
        return _Life(start, end, align(stored_bytes(value, self.layouts)))

    def _add(self, life: _Life, sign: int) -> None:
        self.live[life.start : life.end + 1] += sign * life.size

    def run(self, candidates: list[Op]) -> Joined:
        """Takes the concatenations in order, so that one can become a part of the next."""
        positions: dict[Op, tuple[int, ...]] = {}
        for op in candidates:
            found = list(self._candidates(op))
            while found and not self._accept(op, [part for _, part, _ in found]):
                # The one that would take the memory for longest.
                found.remove(min(found, key=lambda item: self.lives[item[1]].start))
            for position, part, offset in found:
                self.parts[part] = Part(op.result, offset)
                positions[op] = (*positions.get(op, ()), position)
        return Joined(self.parts, positions)

    def _candidates(self, op: Op) -> Iterator[tuple[int, Value, int]]:
        """Position, tensor and byte of each operand that can lie in the result."""
        region = op.regions[0]
        if op.result in self.barred:
            return
        offset, seen = 0, set[Value]()
        order = region.ops[-1].operands
        if len(set(order)) < len(order):
            return
        for value in order:
            position = region.parameters.index(value)
            operand = op.operands[position]
            tensor = self.sharing.tensor(operand)
            size = stored_bytes(operand, self.layouts)
            free = tensor in self.lives and not any(
                tensor in used for used in (self.barred, seen, self.parts)
            )
            same = stored_bytes(tensor, self.layouts) == size
            if free and same and offset % ALIGNMENT == 0:
                yield position, tensor, offset
            seen.add(tensor)
            offset += size

    def _accept(self, op: Op, parts: list[Value]) -> bool:
        """Joins the lives of the parts with the result's if the peak allows."""
        before = [self.lives[v] for v in (op.result, *parts)]
        start, end = min(life.start for life in before), max(life.end for life in before)
        after = _Life(start, end, self.lives[op.result].size)
        for life in before:
            self._add(life, -1)
        self._add(after, 1)
        if self.live.max() <= self.most:
            self.lives[op.result] = after
            return True
        self._add(after, -1)
        for life in before:
            self._add(life, 1)
        return False
