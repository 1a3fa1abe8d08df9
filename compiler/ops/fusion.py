"""fusion: a group of ops that become one kernel; its region is the group.

`kind` names the kernel family that schedules it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.record import (
    ByRegions,
    Cost,
    FromBody,
    OpRecord,
    RegionRule,
    Run,
    Structural,
    Types,
    bytes_moved,
)  # fmt: skip
from tensorkiln.runtime.errors import TypeRuleError


def _rule(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    if len(regions) != 1:
        raise TypeRuleError(f"C1: takes one region, not {len(regions)}")
    parameters = [v.type for v in regions[0].parameters]
    if list(types) != parameters:
        given, wanted = (", ".join(map(str, t)) for t in (types, parameters))
        raise TypeRuleError(f"C2: operands are {given}, the region's parameters {wanted}")
    return tuple(v.type for v in regions[0].results)


def _evaluate(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    return run(op.regions[0], arrays)


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    return builder.inline(op.regions[0], op.operands)


def _cost(op: Op) -> Cost:
    # One operation for each element of each value made inside.
    return Cost(sum(v.type.elements for o in op.regions[0].ops for v in o.results), bytes_moved(op))


RECORDS = (
    OpRecord(
        "fusion", {"kind": "str", "stopped": "str"}, RegionRule(_rule), ByRegions(_evaluate),
        FromBody(_body), Structural("fusion"), _cost,
    ),
)  # fmt: skip
