"""Type rules and dtype groups that several op families share."""

from __future__ import annotations

from collections.abc import Collection

from tensorkiln.compiler.ir.dtypes import DTYPES, DType
from tensorkiln.compiler.ir.function import Attributes
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.record import TypeRule, Types
from tensorkiln.runtime.errors import TypeRuleError

BOOLS = tuple(d for d in DTYPES if d.kind == "bool")
# Dtypes to compute with: those that are stored only are converted first.
INTEGERS = tuple(d for d in DTYPES if d.is_integer and not d.is_storage)
FLOATS = tuple(d for d in DTYPES if d.is_float and not d.is_storage)
SIGNED = tuple(d for d in (*INTEGERS, *FLOATS) if d.is_signed)
NUMBERS = (*INTEGERS, *FLOATS)
BITS = (*BOOLS, *INTEGERS)


def same_types(count: int, allowed: Collection[DType]) -> TypeRule:
    """The rule of `count` operands of one type, whose dtype is in `allowed`, and a result alike."""

    def rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
        check_count(types, count)
        check_equal(types)
        if not types[0].dtype.is_complex:  # the registry knows which ops take those
            check_dtype("C3", types[0], allowed)
        return (types[0],)

    return rule


def check_count(types: Types, count: int) -> None:
    """C1: the op has `count` operands."""
    if len(types) != count:
        raise TypeRuleError(f"C1: takes {count} operand(s), not {len(types)}")


def check_equal(types: Types) -> None:
    """C2: all operands have one type."""
    if any(t != types[0] for t in types):
        raise TypeRuleError(f"C2: operand types differ: {', '.join(map(str, types))}")


def check_dtype(constraint: str, kind: TensorType, allowed: Collection[DType]) -> None:
    """The dtype of an operand is one of those that the op takes."""
    if kind.dtype not in allowed:
        names = ", ".join(map(str, allowed))
        raise TypeRuleError(
            f"{constraint}: the operand's dtype is {kind.dtype}, not one of {names}"
        )
