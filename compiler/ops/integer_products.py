"""Products of bytes summed in 32 bits: integer_dot and integer_convolution.

They are dot_general and convolution (StableHLO's, whose results may be wider than the operands) of
two 8-bit operands, u8 or i8 each, with an i32 result.  Every partial sum is taken modulo 2**32, so
sums of products are exact whenever they fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import I8, I32, U8
from tensorkiln.compiler.ir.function import Array, Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import convolution, dot
from tensorkiln.compiler.ops.checks import expect, require
from tensorkiln.compiler.ops.record import Evaluate, NoGradient, OpRecord, TypeRule, Types

PRODUCTS = ("integer_dot", "integer_convolution")
BYTES = (U8, I8)
_REASON = "integers have no gradient"


def _record(name: str, wide: OpRecord) -> OpRecord:
    """The record `wide` for operands of bytes: everything but the types stays."""
    rule, evaluate = wide.type_rule, wide.evaluate
    assert callable(rule)
    assert callable(evaluate)
    return OpRecord(
        name, wide.attributes, _rule(rule), _evaluate(evaluate), NoGradient(_REASON),
        wide.lowering, wide.cost,
    )  # fmt: skip


def _rule(wide: TypeRule) -> TypeRule:
    def rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
        """C0: the operands are u8 or i8.  All others are those of the op for wide operands."""
        for kind in expect(types, 2):
            require(kind.dtype in BYTES, f"C0: {kind} is neither u8 nor i8")
        return wide([kind.with_dtype(I32) for kind in types], attributes)

    return rule


def _evaluate(wide: Evaluate) -> Evaluate:
    def evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
        assert callable(wide)
        return wide(op, [array.astype(I32.numpy) for array in arrays])

    return evaluate


RECORDS = (
    _record("integer_dot", dot.RECORDS[0]),
    _record("integer_convolution", convolution.RECORDS[0]),
)
