"""Loops and branches brought to the form that costs least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops.control import chosen_branch
from tensorkiln.compiler.passes.fresh_names import FreshNames
from tensorkiln.compiler.passes.over_regions import map_regions
from tensorkiln.compiler.passes.rewriting import live, same_or_new
from tensorkiln.compiler.passes.simplify_while import Loop, Sunk, region_literal, sink


def simplify_control(function: Function) -> Function:
    """Moves out of regions what need not be in them, and removes regions that never run.

        %1, %2 = while(%0, %w) {             %3 = exponential(%w)
            %3 = exponential(%w)             %1, _ = while(%0, %3) {
            %4 = multiply(%0, %3)       ->       %4 = multiply(%0, %3)
            return %4, %w }                      return %4, %3 }
        return %1, %2                        return %1, %w

    Of a loop: what every trip computes again is computed once before it (movement and constants,
    which cost nothing where they are read, stay); a carried value that no trip changes is its
    operand afterwards; one that nothing needs is not carried; constants go into the regions; a
    loop whose condition is never true goes.  Of a branch: one whose index is a constant gives way
    to what it runs; unused operands and results go, and constants go into the regions.  Needs
    nothing; exact.
    """
    function = map_regions(simplify_control, function)
    if not any(op.regions and op.name != "fusion" for op in function.ops):
        return function
    return _Simplifier(function).run()


class _Simplifier:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.names = FreshNames(function)
        self.values: dict[Value, Value] = {}
        self.made: dict[Value, Op] = {}
        self.ops: list[Op] = []
        self.used = set(function.results) | {v for op in function.ops for v in op.operands}

    def run(self) -> Function:
        for op in self.function.ops:
            operands = tuple(self.values.get(v, v) for v in op.operands)
            renewed = op if operands == op.operands else replace(op, operands=operands)
            match op.name:
                case "while":
                    self._loop(renewed)
                case "case":
                    self._branch(renewed)
                case _:
                    self._append(renewed)
        results = tuple(self.values.get(v, v) for v in self.function.results)
        return same_or_new(self.function, live(self.ops, results), results)

    def _append(self, op: Op) -> None:
        self.ops.append(op)
        self.made.update(dict.fromkeys(op.results, op))

    def _loop(self, op: Op) -> None:
        used = [v in self.used for v in op.results]
        loop = Loop(op, used, self.made.get, self.names)
        for made in loop.before:
            self._append(made)
        if loop.op is not None:
            self._append(loop.op)
        self.values.update(loop.values)

    def _branch(self, op: Op) -> None:
        index, *values = op.operands
        number = region_literal(index, self.made.get)
        if number is not None or len(op.regions) == 1:
            chosen = chosen_branch(0 if number is None else int(number), len(op.regions))
            self._inline(op.regions[chosen], values, op.results)
            return
        kept = [k for k, v in enumerate(op.results) if v in self.used]
        sunk = [sink(v, self.made.get) for v in values]
        regions = [_with_results(_with_sunk(region, sunk), kept) for region in op.regions]
        needed = [
            k
            for k in range(len(values))
            if sunk[k] is None and any(_reads(region, k) for region in regions)
        ]
        if len(kept) == len(op.results) and len(needed) == len(values):
            self._append(op)
            return
        regions = [
            replace(region, parameters=tuple(region.parameters[k] for k in needed))
            for region in regions
        ]
        if kept:
            operands = (index, *(values[k] for k in needed))
            results = tuple(op.results[k] for k in kept)
            self._append(replace(op, operands=operands, results=results, regions=tuple(regions)))

    def _inline(
        self, region: Function, operands: Sequence[Value], results: Sequence[Value]
    ) -> None:
        values = dict(zip(region.parameters, operands, strict=True))
        for op in region.ops:
            fresh = tuple(Value(self.names.fresh(v.name), v.type) for v in op.results)
            values.update(zip(op.results, fresh, strict=True))
            inputs = tuple(values[v] for v in op.operands)
            self._append(replace(op, operands=inputs, results=fresh))
        found = (values[v] for v in region.results)
        self.values.update(zip(results, found, strict=True))


def _with_sunk(region: Function, sunk: Sequence[Sunk | None]) -> Function:
    """`region` with constants of its own in place of parameters."""
    values: dict[Value, Value] = {}
    ops: list[Op] = []
    names = FreshNames(region)
    for parameter, chain in zip(region.parameters, sunk, strict=True):
        if chain is not None:
            copies, values[parameter] = chain.copied(names)
            ops += copies
    return _substituted(region, values, ops)


def _substituted(region: Function, values: dict[Value, Value], first: list[Op]) -> Function:
    if not values:
        return region
    ops = [replace(op, operands=tuple(values.get(v, v) for v in op.operands)) for op in region.ops]
    results = tuple(values.get(v, v) for v in region.results)
    return replace(region, ops=(*live(first + ops, results),), results=results)


def _with_results(region: Function, kept: Sequence[int]) -> Function:
    results = tuple(region.results[k] for k in kept)
    return replace(region, ops=tuple(live(region.ops, results)), results=results)


def _reads(region: Function, position: int) -> bool:
    parameter = region.parameters[position]
    return parameter in region.results or any(parameter in op.operands for op in region.ops)
