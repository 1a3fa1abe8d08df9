"""Scalar expressions of the kernel IR.

Expressions are trees of frozen nodes and compare by value.  What is used twice is named by a
`Let` statement (kernel/stmt.py), so a tree never hides an exponential amount of work.  Inside a
vector loop the same expressions mean one lane each.

Binary ops: add sub mul div rem min max pow atan2 and or xor shl shr_arithmetic shr_logical
floordiv mod, and the comparisons eq ne lt le gt ge.  Integer div and rem truncate toward zero;
floordiv and mod are for indices and floor, with a divisor that is seen to be positive.  Float min and max
return NaN if either operand is NaN.
Unary ops: neg not abs sign sqrt rsqrt cbrt floor ceil trunc round_even round_away exp expm1 log
log1p sin cos tan tanh logistic erf is_finite is_nan popcount count_leading_zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import BOOL, I64, DType

INDEX = I64
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
PREDICATES = ("is_finite", "is_nan")
BINARY_OPS = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "rem",
        "min",
        "max",
        "pow",
        "atan2",
        "and",
        "or",
        "xor",
        "shl",
        "shr_arithmetic",
        "shr_logical",
        "floordiv",
        "mod",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
    ]
)
UNARY_OPS = frozenset(
    [
        "neg",
        "not",
        "abs",
        "sign",
        "sqrt",
        "rsqrt",
        "cbrt",
        "floor",
        "ceil",
        "trunc",
        "round_even",
        "round_away",
        "exp",
        "expm1",
        "log",
        "log1p",
        "sin",
        "cos",
        "tan",
        "tanh",
        "logistic",
        "erf",
        "is_finite",
        "is_nan",
        "popcount",
        "count_leading_zeros",
    ]
)


@dataclass(frozen=True, slots=True)
class Buffer:
    """A dense row-major array; `space` is global, local (registers, stack) or shared."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    space: str = "global"

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements to step for each dim, row-major."""
        strides = [1] * len(self.shape)
        for axis in range(len(self.shape) - 2, -1, -1):
            strides[axis] = strides[axis + 1] * self.shape[axis + 1]
        return tuple(strides)

    @property
    def elements(self) -> int:
        """Number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A literal of `dtype`; 0.0 and -0.0 are different literals, and a NaN equals itself."""

    value: bool | int | float
    dtype: DType

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Const) or self.dtype is not other.dtype:
            return False
        if self.dtype.is_float:
            return repr(float(self.value)) == repr(float(other.value))
        return self.value == other.value

    def __hash__(self) -> int:
        # Zeros of unlike sign may share a hash; a NaN's own differs from object to object.
        return hash(self.value) if self.value == self.value else 0


@dataclass(frozen=True, slots=True)
class Var:
    """A loop index (`extent` is then its exclusive upper bound) or the name made by a Let."""

    name: str
    dtype: DType = INDEX
    extent: int | None = None


# How many threads a call may use, at least 1: known in every kernel, for sharing out work.  No
# value may depend on it.
THREADS = Var("threads")


@dataclass(frozen=True, slots=True)
class Load:
    """`buffer[index]`; where `guard` is false nothing is read and the value is zero.

    `again` is a hint: reading the memory once more is cheaper than keeping what was read, as where
    arithmetic takes an operand from memory.
    """

    buffer: Buffer
    index: tuple[Expr, ...]
    guard: Expr | None = None
    again: bool = False

    @property
    def dtype(self) -> DType:
        """The buffer's element type."""
        return self.buffer.dtype


@dataclass(frozen=True, slots=True)
class Unary:
    """`op(operand)`."""

    op: str
    operand: Expr

    @property
    def dtype(self) -> DType:
        """bool for predicates, else the operand's."""
        return BOOL if self.op in PREDICATES else self.operand.dtype


@dataclass(frozen=True, slots=True)
class Binary:
    """`op(left, right)`, both of one dtype; it keeps its hash, as indices are keys of many tables."""

    op: str
    left: Expr
    right: Expr
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __hash__(self) -> int:
        if not self._hash:
            object.__setattr__(self, "_hash", hash((self.op, self.left, self.right)) or 1)
        return self._hash

    @property
    def dtype(self) -> DType:
        """bool for comparisons, else the operands'."""
        return BOOL if self.op in COMPARISONS else self.left.dtype


@dataclass(frozen=True, slots=True)
class Fma:
    """`a * b + c` rounded once."""

    a: Expr
    b: Expr
    c: Expr

    @property
    def dtype(self) -> DType:
        """The addend's dtype."""
        return self.c.dtype


@dataclass(frozen=True, slots=True)
class Select:
    """`on_true if condition else on_false`; both sides are evaluated."""

    condition: Expr
    on_true: Expr
    on_false: Expr

    @property
    def dtype(self) -> DType:
        """The branches' dtype."""
        return self.on_true.dtype


@dataclass(frozen=True, slots=True)
class Convert:
    """The operand's value in another dtype.

    Float to integer truncates and saturates (NaN gives 0); to bool is `!= 0`; integer to a
    narrower integer wraps.
    """

    operand: Expr
    dtype: DType


@dataclass(frozen=True, slots=True)
class Bitcast:
    """The operand's bits as another dtype of the same width."""

    operand: Expr
    dtype: DType


Expr: TypeAlias = Const | Var | Load | Unary | Binary | Fma | Select | Convert | Bitcast
Index: TypeAlias = tuple[Expr, ...]


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly below `expr`, guards included."""
    match expr:
        case Const() | Var():
            return ()
        case Load(_, index, guard):
            return index if guard is None else (*index, guard)
        case Unary(_, x) | Convert(x, _) | Bitcast(x, _):
            return (x,)
        case Binary(_, a, b):
            return (a, b)
        case Fma(a, b, c) | Select(a, b, c):
            return (a, b, c)


def with_children(expr: Expr, new: tuple[Expr, ...]) -> Expr:
    """`expr` with the expressions directly below it replaced, in the order of `children`."""
    match expr:
        case Const() | Var():
            return expr
        case Load(buffer, index, guard, again):
            return Load(buffer, new[: len(index)], None if guard is None else new[-1], again)
        case Unary(op, _):
            return Unary(op, new[0])
        case Binary(op, _, _):
            return Binary(op, new[0], new[1])
        case Fma():
            return Fma(new[0], new[1], new[2])
        case Select():
            return Select(new[0], new[1], new[2])
        case Convert(_, dtype):
            return Convert(new[0], dtype)
        case Bitcast(_, dtype):
            return Bitcast(new[0], dtype)
