"""fused_multiply_add: a * b + c of f32 and f64, rounded once."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.ir.function import Array, Op, Value
from tensorkiln.compiler.kernel import meaning
from tensorkiln.compiler.kernel.expr import Fma
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.elementwise import cost, element
from tensorkiln.compiler.ops.formula import formulas
from tensorkiln.compiler.ops.record import Element, OpRecord
from tensorkiln.compiler.ops.rules import same_types

Cotangents = Sequence[Value | None]


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    return [meaning.fma(op.result.dtype, *arrays)]


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    if cotangents[0] is None:
        return [None] * 3
    a, b, g = formulas(builder, *op.operands[:2], cotangents[0])
    return [(g * b).value, (g * a).value, g.value]


# On targets without the instruction the product is rounded too (`kernel/math/separate.py`).
RECORDS = (
    OpRecord(
        "fused_multiply_add",
        {},
        same_types(3, (F32, F64)),
        _evaluate,
        _gradient,
        Element(element(Fma)),
        cost(2),
    ),
)
