"""convert (values) and bitcast_convert (bits)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL, DType, dtype_of
from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel import meaning
from tensorkiln.compiler.kernel.expr import Bitcast, Convert, Expr, Index
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.elementwise import cost
from tensorkiln.compiler.ops.record import (
    Element,
    ElementContext,
    NoGradient,
    OpRecord,
    Types,
    movement_cost,
)  # fmt: skip
from tensorkiln.compiler.ops.rules import check_count
from tensorkiln.runtime.errors import TypeRuleError


def _target(attributes: Attributes) -> DType:
    dtype = attributes["dtype"]
    if not isinstance(dtype, DType):
        raise TypeRuleError(f"attribute dtype is {dtype!r}")
    return dtype


def _convert_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 1)
    target = _target(attributes)
    if types[0].dtype.is_complex and not target.is_complex:
        raise TypeRuleError(f"C2: {types[0]} has two parts; take real or imag, then convert")
    return (types[0].with_dtype(target),)


def _convert_element(context: ElementContext, op: Op, index: Index) -> Expr:
    return context.let(Convert(context.read(op.operands[0], index), op.result.dtype))


def convert_array(array: Array, dtype: DType) -> Array:
    """The values in another dtype.

    Float to integer truncates and saturates, NaN gives 0; to bool is `!= 0`; integer to a
    narrower integer wraps; to a float rounds to nearest, ties to even.
    """
    if dtype.is_complex:
        return array.astype(dtype.numpy)
    return meaning.convert(dtype_of(array.dtype), dtype, array)


def _convert_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [convert_array(arrays[0], op.result.dtype)]


def _convert_gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    (g,) = cotangents
    source = op.operands[0].dtype
    if g is None or not source.is_inexact or not op.result.dtype.is_inexact:
        return [None]
    return [builder.one("convert", (g,), dtype=source)]


def _bitcast_rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    check_count(types, 1)
    source, target = types[0].dtype, _target(attributes)
    if BOOL in (source, target):
        raise TypeRuleError("C2: bits of bools cannot be converted; use convert")
    if source.bits != target.bits:
        raise TypeRuleError(f"C3: {source} and {target} differ in width")
    return (types[0].with_dtype(target),)


def _bitcast_element(context: ElementContext, op: Op, index: Index) -> Expr:
    return context.let(Bitcast(context.read(op.operands[0], index), op.result.dtype))


def _bitcast_evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.ascontiguousarray(arrays[0]).reshape(arrays[0].shape).view(op.result.dtype.numpy)]


RECORDS = (
    OpRecord(
        "convert", {"dtype": "dtype"}, _convert_rule, _convert_evaluate,
        _convert_gradient, Element(_convert_element), cost(1),
    ),
    OpRecord(
        "bitcast_convert", {"dtype": "dtype"}, _bitcast_rule, _bitcast_evaluate,
        NoGradient("bits are not numbers"), Element(_bitcast_element), movement_cost,
    ),
)  # fmt: skip
