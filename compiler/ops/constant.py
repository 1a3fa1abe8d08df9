"""constant, and the ops that pass a value on: identity and stop_gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import DTYPES, dtype_of
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Expr, Index
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.record import (
    Cost,
    Element,
    ElementContext,
    NoGradient,
    OpRecord,
    Structural,
    Types,
    movement_cost,
)  # fmt: skip
from tensorkiln.compiler.ops.rules import check_count, same_types
from tensorkiln.runtime.errors import TypeRuleError


def _constant_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 0)
    array = attributes["value"]
    if not isinstance(array, np.ndarray):
        raise TypeRuleError(f"C2: value is {array!r}, not an array")
    try:
        dtype = dtype_of(array.dtype)
    except KeyError:
        raise TypeRuleError(f"C3: a tensor cannot hold numpy's {array.dtype}") from None
    return (TensorType(tuple(array.shape), dtype),)


def _constant_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [op.array("value")]


def _pass_element(context: ElementContext, op: Op, index: Index) -> Expr:
    return context.read(op.operands[0], index)


def _pass_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [arrays[0]]


def _pass_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    return [cotangents[0]]


RECORDS = (
    OpRecord(
        "constant", {"value": "array"}, _constant_rule, _constant_evaluate,
        NoGradient("it has no operands"), Structural("constant"), lambda op: Cost(0, 0),
    ),
    OpRecord(
        "identity", {}, same_types(1, DTYPES), _pass_evaluate,
        _pass_gradient, Element(_pass_element), movement_cost,
    ),
    OpRecord(
        "stop_gradient", {}, same_types(1, DTYPES), _pass_evaluate,
        NoGradient("it is there to stop gradients"), Element(_pass_element), movement_cost,
    ),
)  # fmt: skip
