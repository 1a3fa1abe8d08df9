"""What is known at compile time of values that tell sizes: counts, places, and masks made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.dims import Dim, add_dims, divide_dim, multiply_dims
from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Op, Value


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of values that tell sizes.

    `counts` are scalars (and what repeats them) that are sizes or integers; `places` are vectors
    of 0, 1, 2, ...; `masks` are true at the first so many places of some dims.
    """

    counts: dict[Value, Dim]
    places: dict[Value, None]
    masks: dict[Value, Mapping[int, Dim]]

    @staticmethod
    def of(counts: Mapping[Value, Dim]) -> Known:
        """Sizes, and nothing else."""
        return Known(dict(counts), {}, {})

    def after(self, ops: Sequence[Op]) -> Known:
        """This, and what follows of the results of ops in their order."""
        known = Known(dict(self.counts), dict(self.places), dict(self.masks))
        for op in ops:
            _learn(op, known)
        return known

    def renamed(self, old: Sequence[Value], new: Sequence[Value]) -> Known:
        """What is known of the values `old`, of the values `new`."""
        known = Known({}, {}, {})
        _rename(self, old, new, known)
        return known


def carried(op: Op, body: Sequence[Value]) -> tuple[list[Value], list[Value]]:
    """The operands of a loop that no trip changes, and what they are among `body`, its region's
    values by number."""
    _, region = op.regions
    fixed = [
        k for k, (p, r) in enumerate(zip(region.parameters, region.results, strict=True)) if p is r
    ]
    return [op.operands[k] for k in fixed], [body[k] for k in fixed]


def _learn(op: Op, known: Known) -> None:
    """Takes note of results that are sizes or masks."""
    counts, masks = known.counts, known.masks
    match op.name:
        case "fusion":
            (region,) = op.regions
            _rename(known, op.operands, region.parameters, known)
            for each in region.ops:
                _learn(each, known)
            _rename(known, region.results, op.results, known)
        case "while":
            _rename(known, *carried(op, op.results), known)
        case "broadcast_in_dim":
            (x,) = op.operands
            if x in counts:
                counts[op.result] = counts[x]
            elif x in masks:
                axes = op.ints("dimensions")
                masks[op.result] = {axes[axis]: dim for axis, dim in masks[x].items()}
        case "compare" if op.string("direction") in ("LT", "GT") and op.result.type.rank == 1:
            place, number = op.operands if op.string("direction") == "LT" else op.operands[::-1]
            if number in counts and place in known.places:
                masks[op.result] = {0: counts[number]}
        case "iota" if op.result.type.rank == 1:
            known.places[op.result] = None
        case "constant" if op.result.dtype is I32:
            array = op.array("value")
            if array.ndim == 0:
                counts[op.result] = int(array)
            elif array.ndim == 1 and bool((array == np.arange(array.size)).all()):
                known.places[op.result] = None
        case "and" if all(v in masks for v in op.operands):
            one, other = (masks[v] for v in op.operands)
            if one.keys().isdisjoint(other):
                masks[op.result] = {**one, **other}
        case "divide":
            over, by = (counts.get(v) for v in op.operands)
            whole = divide_dim(over, by) if over is not None and isinstance(by, int) else None
            if whole is not None:
                counts[op.result] = whole
        case "add" | "multiply":
            a, b = (counts.get(v) for v in op.operands)
            if a is not None and b is not None:
                _combine(op, a, b, counts)
        case _:
            pass


def _combine(op: Op, a: Dim, b: Dim, counts: dict[Value, Dim]) -> None:
    counts[op.result] = add_dims(a, b) if op.name == "add" else multiply_dims(a, b)


def _rename(known: Known, old: Sequence[Value], new: Sequence[Value], into: Known) -> None:
    for a, b in zip(old, new, strict=True):
        if a in known.counts:
            into.counts[b] = known.counts[a]
        if a in known.masks:
            into.masks[b] = known.masks[a]
        if a in known.places:
            into.places[b] = None
