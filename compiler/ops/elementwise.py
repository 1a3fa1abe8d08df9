"""Elementwise ops of one and two operands: the pattern that every op family follows.

Rules and names are StableHLO's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Expr, Index, Unary
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.record import (
    Element, ElementContext, OpRecord, Types, elementwise_cost,
)  # fmt: skip
from tensorkiln.runtime.errors import TypeRuleError


def _same_types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: all operands have one type; the result has it too."""
    if any(t != types[0] for t in types):
        raise TypeRuleError(f"C1: operand types differ: {', '.join(map(str, types))}")
    return (types[0],)


def _add_element(context: ElementContext, op: Op, index: Index) -> Expr:
    a, b = (context.read(value, index) for value in op.operands)
    return context.let(Binary("add", a, b))


def _add_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.add(arrays[0], arrays[1])]


def _add_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    return [cotangents[0], cotangents[0]]


def _exp_element(context: ElementContext, op: Op, index: Index) -> Expr:
    return context.let(Unary("exp", context.read(op.operands[0], index)))


def _exp_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.exp(arrays[0])]


def _exp_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    (g,) = cotangents
    return [None if g is None else builder.one("multiply", (g, op.result))]


RECORDS = (
    OpRecord("add", {}, _same_types, _add_evaluate, _add_gradient, Element(_add_element), elementwise_cost),
    OpRecord("exponential", {}, _same_types, _exp_evaluate, _exp_gradient, Element(_exp_element), elementwise_cost),
)
