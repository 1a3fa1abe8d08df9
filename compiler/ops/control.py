"""while and case: regions that run as often, or in place of each other, as values tell.

Names and semantics are StableHLO's.  A region captures nothing: what it reads is an operand, so a
value that a loop only reads is carried and returned unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL, I32
from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.case_gradient import case_gradient
from tensorkiln.compiler.ops.checks import require
from tensorkiln.compiler.ops.record import (
    ByRegions,
    Cost,
    GradientByRegions,
    OpRecord,
    RegionRule,
    Run,
    Structural,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.while_gradient import while_gradient
from tensorkiln.runtime.errors import VerifyError

PREDICATE = TensorType((), BOOL)
INDEX = TensorType((), I32)


def _words(types: Types) -> str:
    return f"({', '.join(map(str, types))})"


def _parameters(region: Function) -> list[TensorType]:
    return [v.type for v in region.parameters]


def _results(region: Function) -> list[TensorType]:
    return [v.type for v in region.results]


def _while_types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1: two regions, the condition and the body.  C2: both take the operands' types.  C3: the
    condition gives one bool scalar.  C4: the body gives the operands' types.  C5: the bound is -1
    (unknown) or more."""
    require(len(regions) == 2, f"C1: takes the regions cond and body, not {len(regions)}")
    cond, body = regions
    for name, region in (("condition", cond), ("body", body)):
        taken = _parameters(region)
        fits = taken == list(types)
        require(fits, f"C2: the {name} takes {_words(taken)}, the operands are {_words(types)}")
    given = _results(cond)
    require(given == [PREDICATE], f"C3: the condition gives {_words(given)}, not (bool[])")
    given = _results(body)
    require(given == list(types), f"C4: the body gives {_words(given)} for {_words(types)}")
    bound = attributes["bound"]
    require(isinstance(bound, int) and bound >= -1, f"C5: a bound of {bound} trips")
    return tuple(types)


def _while_run(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    cond, body = op.regions
    bound, trips = op.integer("bound"), 0
    values = list(arrays)
    while bool(np.asarray(run(cond, values)[0])):
        if trips == bound:
            place = f" {op.location}" if op.location.node else ""
            raise VerifyError(f"while{place} runs more often than its bound of {bound} trips")
        values, trips = list(run(body, values)), trips + 1
    return values


def _case_types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1: one region or more.  C2: the index is an i32 scalar.  C3: the branches take the other
    operands' types.  C4: all branches give the same types."""
    require(bool(regions), "C1: takes one branch or more")
    require(list(types[:1]) == [INDEX], f"C2: the index is {_words(types[:1])}, not (i32[])")
    values = list(types[1:])
    for number, region in enumerate(regions):
        taken, given = _parameters(region), _results(region)
        fits = taken == values
        message = f"C3: branch {number} takes {_words(taken)}, the operands are {_words(values)}"
        require(fits, message)
        first = _results(regions[0])
        fits = given == first
        require(fits, f"C4: branch {number} gives {_words(given)}, branch 0 {_words(first)}")
    return tuple(_results(regions[0]))


def _case_run(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    index, *values = arrays
    return run(op.regions[chosen_branch(int(index), len(op.regions))], values)


def chosen_branch(index: int, count: int) -> int:
    """The branch that runs: number `index`, the last one where there is none of that number."""
    return index if 0 <= index < count else count - 1


def _region_flops(region: Function) -> int:
    return sum(v.type.elements for op in region.ops for v in op.results)


def _while_cost(op: Op) -> Cost:
    """One trip, an operation for each element made."""
    return Cost(sum(_region_flops(region) for region in op.regions), bytes_moved(op))


def _case_cost(op: Op) -> Cost:
    """The most expensive branch, an operation for each element made."""
    return Cost(max(_region_flops(region) for region in op.regions), bytes_moved(op))


RECORDS = (
    OpRecord(
        "while",
        {"bound": "int"},
        RegionRule(_while_types),
        ByRegions(_while_run),
        GradientByRegions(while_gradient),
        Structural("control flow"),
        _while_cost,
    ),
    OpRecord(
        "case",
        {},
        RegionRule(_case_types),
        ByRegions(_case_run),
        GradientByRegions(case_gradient),
        Structural("control flow"),
        _case_cost,
    ),
)
