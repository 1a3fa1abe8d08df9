"""Regions of scalars, written where they are applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel.expr import Const, Expr, Index
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Element, ElementContext
from tensorkiln.runtime.errors import UnsupportedError


def apply_region(
    context: ElementContext, region: Function, arguments: Sequence[Expr]
) -> list[Expr]:
    """The results of a region of elementwise ops on scalars; UnsupportedError names any other op."""
    values: dict[Value, Expr] = dict(zip(region.parameters, arguments, strict=True))
    for op in region.ops:
        if op.name == "fusion":
            given = [values[v] for v in op.operands]
            values.update(zip(op.results, apply_region(context, op.regions[0], given), strict=True))
            continue
        values[op.result] = context.let(_element(_Scalars(context, values), op))
    return [values[v] for v in region.results]


def _element(context: ElementContext, op: Op) -> Expr:
    if op.name == "constant":
        return Const(op.array("value").reshape(())[()].item(), op.result.dtype)
    lowering = REGISTRY[op.name].lowering
    if not isinstance(lowering, Element) or op.result.type.rank:
        raise UnsupportedError(
            f"{op.name} {op.location}: a region that folds, chooses or compares may only have "
            "elementwise ops on scalars"
        )
    return lowering.element(context, op, ())


@dataclass(frozen=True)
class _Scalars:
    """The context of a region's ops: what they read are the scalars so far."""

    outer: ElementContext
    values: Mapping[Value, Expr]

    def read(self, value: Value, index: Index) -> Expr:
        return self.values[value]

    def let(self, expr: Expr) -> Expr:
        return self.outer.let(expr)

    def guard(self, condition: Expr) -> AbstractContextManager[None]:
        return self.outer.guard(condition)
