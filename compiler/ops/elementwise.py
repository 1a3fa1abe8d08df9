"""What the records of elementwise ops share: element, evaluation, gradient and cost from parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import BF16, F16, F32, DType, dtype_of
from tensorkiln.compiler.ir.function import Array, Op, Value
from tensorkiln.compiler.kernel.expr import Binary, Convert, Expr, Index, Unary
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.record import (
    Cost,
    Element,
    ElementContext,
    NoGradient,
    OpRecord,
    bytes_moved,
)  # fmt: skip
from tensorkiln.compiler.ops.rules import same_types

HALVES = (F16, BF16)
INTEGRAL = NoGradient("the op is for bools and integers")
STEPS = NoGradient("the derivative is zero wherever it exists")

# `gradient(operands, result, cotangent)` in formulas; None for an operand without gradient.
UnaryGradient: TypeAlias = Callable[[Formula, Formula, Formula], Formula]
BinaryGradient: TypeAlias = Callable[
    [Formula, Formula, Formula, Formula], tuple[Formula | None, Formula | None]
]
Scalar: TypeAlias = Callable[..., Expr]
Numbers: TypeAlias = NDArray[Any]  # an array that numpy's operators take without a proof


def unary(
    name: str,
    kernel: str | Scalar,
    numpy: Callable[[Numbers], Numbers],
    gradient: UnaryGradient | NoGradient,
    dtypes: Collection[DType],
    flops: int = 1,
) -> OpRecord:
    """The record of an op of one operand; `kernel` is a unary kernel op or `f(expr) -> expr`."""
    scalar = partial(Unary, kernel) if isinstance(kernel, str) else kernel

    def back(
        builder: Builder, op: Op, cotangents: Sequence[Value | None]
    ) -> Sequence[Value | None]:
        (g,) = cotangents
        if g is None or isinstance(gradient, NoGradient):
            return [None]
        x, y, g_ = (Formula(builder, v) for v in (op.operands[0], op.result, g))
        return [gradient(x, y, g_).value]

    return OpRecord(
        name, {}, same_types(1, dtypes), evaluation(numpy),
        gradient if isinstance(gradient, NoGradient) else back,
        Element(element(scalar)), cost(flops),
    )  # fmt: skip


def binary(
    name: str,
    kernel: str | Scalar,
    numpy: Callable[[Numbers, Numbers], Numbers],
    gradient: BinaryGradient | NoGradient,
    dtypes: Collection[DType],
    flops: int = 1,
) -> OpRecord:
    """The record of an op of two operands; `kernel` is a binary kernel op or `f(a, b) -> expr`."""
    scalar = partial(Binary, kernel) if isinstance(kernel, str) else kernel

    def back(
        builder: Builder, op: Op, cotangents: Sequence[Value | None]
    ) -> Sequence[Value | None]:
        (g,) = cotangents
        if g is None or isinstance(gradient, NoGradient):
            return [None, None]
        a, b, y, g_ = (Formula(builder, v) for v in (*op.operands, op.result, g))
        return [None if d is None else d.value for d in gradient(a, b, y, g_)]

    return OpRecord(
        name, {}, same_types(2, dtypes), evaluation(numpy),
        gradient if isinstance(gradient, NoGradient) else back,
        Element(element(scalar)), cost(flops),
    )  # fmt: skip


def element(scalar: Scalar) -> Callable[[ElementContext, Op, Index], Expr]:
    """The element of `scalar(*operands' elements)`; 16-bit floats are computed in f32.

    A scalar operand stands for its only element, whatever the result's shape.
    """

    def build(context: ElementContext, op: Op, index: Index) -> Expr:
        elements = (context.read(v, index if v.type.rank else ()) for v in op.operands)
        operands = [context.let(widened(x)) for x in elements]
        result = scalar(*operands)
        if op.result.dtype in HALVES:
            result = Convert(context.let(result), op.result.dtype)
        return context.let(result)

    return build


def widened(expr: Expr) -> Expr:
    """A 16-bit float as f32, everything else as it is."""
    return Convert(expr, F32) if expr.dtype in HALVES else expr


def evaluation(function: Callable[..., Array]) -> Callable[[Op, Sequence[Array]], Sequence[Array]]:
    """The evaluation of a one-result op by `function(*arrays)`; 16-bit floats go through f32."""

    def evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
        found = function(*(wide(array) for array in arrays))
        return [np.asarray(found).astype(op.result.dtype.numpy, copy=False)]

    return evaluate


def wide(array: Array) -> Array:
    """A 16-bit float array as f32, everything else as it is."""
    return array.astype(np.float32) if dtype_of(array.dtype) in HALVES else array


def cost(flops: int) -> Callable[[Op], Cost]:
    """`flops` operations an element of the result; operands and results moved once."""
    return lambda op: Cost(flops * op.results[0].type.elements, bytes_moved(op))
