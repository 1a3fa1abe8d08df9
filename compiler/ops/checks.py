"""Helpers that type rules, evaluations and lowerings of several op families share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

from tensorkiln.compiler.ir.dims import Affine, Dim, Shape, add_dims, scale_dim
from tensorkiln.compiler.ir.dtypes import BOOL, F32, I32, I64, DType
from tensorkiln.compiler.ir.function import Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Const, Convert, Expr, Index
from tensorkiln.compiler.kernel.index import bounds, const, mod, sub
from tensorkiln.compiler.ops.record import ElementContext, Types
from tensorkiln.runtime.errors import TypeRuleError

TRUE = Const(True, BOOL)


def require(condition: bool, message: str) -> None:
    """TypeRuleError with `message`, which starts with the constraint's number, if it is broken."""
    if not condition:
        raise TypeRuleError(message)


def expect(types: Types, number: int) -> Types:
    """The operands' types; TypeRuleError (C0) unless there are `number` of them."""
    require(len(types) == number, f"C0: takes {number} operands, not {len(types)}")
    return types


def ints(attributes: Attributes, name: str) -> tuple[int, ...]:
    """An attribute that is a tuple of integers; TypeRuleError (C0) if it is anything else."""
    value = attributes[name]
    require(isinstance(value, tuple), f"C0: {name} is not a tuple of integers: {value}")
    assert isinstance(value, tuple)
    found = tuple(v for v in value if isinstance(v, int))
    require(len(found) == len(value), f"C0: {name} is not a tuple of integers: {value}")
    return found


def optional_ints(attributes: Attributes, name: str) -> tuple[int, ...]:
    """An attribute that is a tuple of integers, or nothing if it is left out."""
    return ints(attributes, name) if name in attributes else ()


def dims(attributes: Attributes, name: str) -> Shape:
    """An attribute that is a tuple of dims (integers or symbolic); TypeRuleError (C0) if not."""
    value = attributes[name]
    require(isinstance(value, tuple), f"C0: {name} is not a tuple of dims: {value}")
    assert isinstance(value, tuple)
    found = tuple(v for v in value if isinstance(v, int | Affine))
    require(len(found) == len(value), f"C0: {name} is not a tuple of dims: {value}")
    return found


def pairs(attributes: Attributes, name: str) -> tuple[tuple[int, int], ...]:
    """An attribute that is a tuple of pairs of integers; TypeRuleError (C0) if it is not."""
    value = attributes[name]
    require(isinstance(value, tuple), f"C0: {name} is not a tuple of pairs: {value}")
    assert isinstance(value, tuple)
    found: list[tuple[int, int]] = []
    for pair in value:
        match pair:
            case (int() as low, int() as high):
                found.append((low, high))
            case _:
                raise TypeRuleError(f"C0: {name} is not a tuple of pairs: {value}")
    return tuple(found)


def op_dims(op: Op, name: str) -> Shape:
    """The attribute `name` of an op, a tuple of dims."""
    return dims(op.attributes, name)


def op_pairs(op: Op, name: str) -> tuple[tuple[int, int], ...]:
    """The attribute `name` of an op, a tuple of pairs of integers."""
    return pairs(op.attributes, name)


def are_axes(axes: Sequence[int], rank: int) -> bool:
    """True if `axes` are different and each in [0, rank)."""
    return len(set(axes)) == len(axes) and all(0 <= axis < rank for axis in axes)


def require_index(kind: TensorType, what: str, constraint: str) -> None:
    """Constraint: the type is i32 or i64."""
    require(kind.dtype in (I32, I64), f"{constraint}: {what} is {kind.dtype}, not i32 or i64")


def accumulator(dtype: DType) -> DType:
    """The dtype that sums of `dtype` are kept in: f32 for the narrower floats."""
    return F32 if dtype.is_float and dtype.bits < 32 else dtype


def is_size(dim: Dim) -> bool:
    """True unless `dim` is a negative integer."""
    return not isinstance(dim, int) or dim >= 0


def least(dim: Dim) -> int | None:
    """The smallest value that a dim can have; None if there is no bound."""
    if isinstance(dim, int):
        return dim
    total = dim.constant
    for symbol, coefficient in dim.terms:
        end = symbol.minimum if coefficient > 0 else symbol.maximum
        if end is None:
            return None
        total += coefficient * end
    return total


def at_most(a: Dim, b: Dim) -> bool:
    """True if `a <= b` whatever the symbols are."""
    gap = least(add_dims(b, scale_dim(a, -1)))
    return gap is not None and gap >= 0


def dilated(dim: Dim, dilation: int) -> Dim:
    """The size of a dim with `dilation - 1` holes between its elements: (dim-1)*dilation + 1.

    A symbolic dim that may be 0 has no such affine size; TypeRuleError (C0) then.
    """
    if dim == 0 or dilation == 1:
        return dim
    least_size = least(dim)
    fits = least_size is not None and least_size >= 1
    require(fits, f"C0: {dim} may be 0 and so cannot be dilated by {dilation}")
    return add_dims(scale_dim(dim, dilation), 1 - dilation)


def widened(expr: Expr, dtype: DType) -> Expr:
    """`expr` converted to `dtype` unless it has it."""
    return expr if expr.dtype == dtype else Convert(expr, dtype)


def as_index(context: ElementContext, expr: Expr) -> Expr:
    """An i32 or i64 element as an index, computed once."""
    return context.let(widened(expr, INDEX))


def clamped(expr: Expr, low: int, high: int) -> Expr:
    """`min(max(expr, low), high)` as an index."""
    if low == high:
        return const(low)
    return Binary("min", Binary("max", expr, const(low)), const(high))


def between(expr: Expr, low: int, high: int) -> list[Expr]:
    """The conditions of `low <= expr < high` that do not hold anyway."""
    least, most = bounds(expr)
    conditions: list[Expr] = []
    if least < low:
        conditions.append(Binary("ge", expr, const(low)))
    if most >= high:
        conditions.append(Binary("lt", expr, const(high)))
    return conditions


def divides(expr: Expr, divisor: int) -> list[Expr]:
    """The condition that `divisor` divides `expr`, if that does not hold anyway."""
    remainder = mod(expr, divisor)
    return [] if remainder == const(0) else [Binary("eq", remainder, const(0))]


def all_of(conditions: Iterable[Expr]) -> Expr | None:
    """The conjunction; None if there is nothing to check."""
    result: Expr | None = None
    for condition in conditions:
        result = condition if result is None else Binary("and", result, condition)
    return result


def guarded(context: ElementContext, condition: Expr | None) -> AbstractContextManager[None]:
    """`context.guard(condition)`, or nothing to guard against."""
    return nullcontext() if condition is None else context.guard(condition)


def shifted(index: Index, offsets: Sequence[int]) -> Index:
    """`index - offsets`, dim by dim."""
    return tuple(sub(i, const(n)) for i, n in zip(index, offsets, strict=True))
