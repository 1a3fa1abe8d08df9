"""Which operand types the scalar expressions of the kernel IR accept."""

from __future__ import annotations

from tensorkiln.compiler.ir.dtypes import BOOL, DType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    BINARY_OPS,
    COMPARISONS,
    INDEX,
    UNARY_OPS,
    Binary,
    Bitcast,
    Const,
    Convert,
    Expr,
    Fma,
    Load,
    Select,
    Unary,
    Var,
)  # fmt: skip

_BITWISE = frozenset(("and", "or", "xor"))
_SHIFTS = frozenset(("shl", "shr_arithmetic", "shr_logical"))
_INDEX_ONLY = frozenset(("floordiv", "mod"))
_ANY_NUMBER = frozenset(("neg", "abs", "sign"))
_INTEGER_ONLY = frozenset(("popcount", "count_leading_zeros"))


def type_error(expr: Expr) -> str | None:
    """What is wrong with the types of this node's operands (not of what lies below), or None."""
    match expr:
        case Const(value, dtype):
            return None if _is_value(value, dtype) else f"{value!r} is no {dtype}"
        case Var():
            return None
        case Load(buffer, index, guard):
            if any(e.dtype != INDEX for e in index):
                return f"an index of {buffer.name} is not {INDEX}"
            return None if guard is None or guard.dtype == BOOL else "a guard is not bool"
        case Unary(op, x):
            return None if _accepts_unary(op, x.dtype) else f"{op} does not take {x.dtype}"
        case Binary(op, a, b):
            return _binary_error(op, a, b)
        case Fma(a, b, c):
            same = a.dtype == b.dtype == c.dtype and c.dtype.is_float
            return None if same else f"fma does not take {a.dtype}, {b.dtype}, {c.dtype}"
        case Select(condition, a, b):
            right = condition.dtype == BOOL and a.dtype == b.dtype
            return (
                None if right else f"select does not take {condition.dtype}, {a.dtype}, {b.dtype}"
            )
        case Convert():
            return None
        case Bitcast(x, dtype):
            return (
                None if x.dtype.bytes == dtype.bytes else f"{x.dtype} and {dtype} differ in width"
            )


def _binary_error(op: str, a: Expr, b: Expr) -> str | None:
    if a.dtype != b.dtype:
        return f"{op} takes operands of one dtype, not {a.dtype} and {b.dtype}"
    if not _accepts_binary(op, a.dtype):
        return f"{op} does not take {a.dtype}"
    if op in _INDEX_ONLY and ix.bounds(b)[0] < 1:
        return f"{op} needs a divisor that is seen to be positive"
    return None


def _accepts_unary(op: str, dtype: DType) -> bool:
    if op == "not":
        return dtype == BOOL or dtype.is_integer
    if op in _ANY_NUMBER:
        return dtype != BOOL
    return dtype.is_integer if op in _INTEGER_ONLY else dtype.is_float and op in UNARY_OPS


def _accepts_binary(op: str, dtype: DType) -> bool:
    if op in COMPARISONS:
        return True
    if op in _BITWISE:
        return not dtype.is_float
    if op in _SHIFTS:
        return dtype.is_integer
    if op in _INDEX_ONLY:
        return dtype == INDEX
    return dtype.is_float if op == "atan2" else dtype != BOOL and op in BINARY_OPS


def _is_value(value: bool | int | float, dtype: DType) -> bool:
    if dtype.is_float:
        return isinstance(value, int | float)
    if not isinstance(value, int):
        return False
    if dtype == BOOL:
        return value in (0, 1)
    low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    return low <= value < low + (1 << dtype.bits)
