"""What the compiler knows of one op: the record that every op must fill in completely.

A record's fields are all required, so that a gap is an error when the module is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Buffer, Expr, Index

if TYPE_CHECKING:
    from tensorkiln.compiler.ops.builder import Builder

Types: TypeAlias = Sequence[TensorType]
TypeRule: TypeAlias = Callable[[Types, Attributes], tuple[TensorType, ...]]
Body: TypeAlias = "Callable[[Builder, Op], Sequence[Value]]"
Run: TypeAlias = Callable[[Function, Sequence[Array]], Sequence[Array]]


@dataclass(frozen=True, slots=True)
class RegionRule:
    """The type rule of an op with regions, whose results' types come from them."""

    rule: Callable[[Types, Attributes, Sequence[Function]], tuple[TensorType, ...]]


@dataclass(frozen=True, slots=True)
class FromBody:
    """The op evaluates, or is differentiated, as the ops that `body(builder, op)` appends."""

    body: Body


@dataclass(frozen=True, slots=True)
class ByRegions:
    """The op evaluates by `run(op, arrays, interpreter)`, which runs its regions."""

    run: Callable[[Op, Sequence[Array], Run], Sequence[Array]]


Evaluate: TypeAlias = Callable[[Op, Sequence[Array]], Sequence[Array]] | FromBody | ByRegions


class ElementContext(Protocol):
    """How a lowering asks for its operands' elements while a kernel body is being built."""

    def read(self, value: Value, index: Index) -> Expr:
        """The element of `value` at `index`: a load, or the producer's element if it is fused."""
        ...

    def let(self, expr: Expr) -> Expr:
        """Names `expr` by a Let, so that using the result twice computes it once."""
        ...

    def guard(self, condition: Expr) -> AbstractContextManager[None]:
        """Reads made inside happen only where `condition` holds, and give zero elsewhere."""
        ...


@dataclass(frozen=True, slots=True)
class Element:
    """Every element of a result is a scalar function of elements of the operands.

    `element(context, op, index)` is the (first and only) result's element at `index`.
    """

    element: Callable[[ElementContext, Op, Index], Expr]


@dataclass(frozen=True, slots=True)
class Reduction:
    """Every element of the results folds a box of elements into a state of one or more scalars.

    `extents(op)` is the shape of the box; `initial(op)` the state to start from (the identity of
    `combine`); `element(context, op, index, inner)` the state of one member of the box, where
    `index` is the result's index and `inner` the index in the box; `combine(context, op, a, b)`
    joins two states, the earlier members in `a`.  State k, converted to the dtype of result k
    (sums of f16 and bf16 are kept in f32), is the element of result k; all results have one
    shape.  Members skipped by a false `valid` (None: no member is skipped) leave the state as it
    is.
    """

    extents: Callable[[Op], tuple[int, ...]]
    initial: Callable[[Op], tuple[Expr, ...]]
    element: Callable[[ElementContext, Op, Index, Index], tuple[Expr, ...]]
    combine: Callable[[ElementContext, Op, tuple[Expr, ...], tuple[Expr, ...]], tuple[Expr, ...]]
    valid: Callable[[Op, Index, Index], Expr | None] = lambda op, index, inner: None


class LoopContext(ElementContext, Protocol):
    """How a `Loops` lowering builds its loop nest."""

    def write(self, result: int, index: Index, value: Expr) -> None:
        """Stores an element of result number `result`."""
        ...

    def read_result(self, result: int, index: Index) -> Expr:
        """The element that result number `result` holds at this point."""
        ...

    def loop(self, extent: int, kind: str = "for") -> AbstractContextManager[Expr]:
        """A loop from 0 to `extent`; `kind` is "for" or "parallel" (iterations independent)."""
        ...

    def between(self, start: Expr, stop: Expr, extent: int) -> AbstractContextManager[Expr]:
        """A serial loop from `start` below `stop`; its variable stays below `extent`."""
        ...

    def when(self, condition: Expr) -> AbstractContextManager[None]:
        """Statements made inside run only where `condition` holds."""
        ...

    def local(self, shape: tuple[int, ...], dtype: DType) -> Buffer:
        """A small uninitialised buffer of this thread, alive to the end of the current block."""
        ...

    def load(self, buffer: Buffer, index: Index) -> Expr:
        """What a local buffer holds at this point."""
        ...

    def store(self, buffer: Buffer, index: Index, value: Expr) -> None:
        """Stores an element of a local buffer."""
        ...

    def apply(self, region: Function, arguments: Sequence[Expr]) -> list[Expr]:
        """The results of a region of elementwise ops on scalars."""
        ...


@dataclass(frozen=True, slots=True)
class Loops:
    """The op writes its results by a loop nest of its own (scatter, random bits).

    `build(context, op)` makes the loops.  The innermost loop of kind "vector" may run in lanes.
    Where `over` is the position of an operand, the loops find its elements in the (only) result.
    """

    build: Callable[[LoopContext, Op], None]
    over: int | None = None


@dataclass(frozen=True, slots=True)
class Composite:
    """The op has no kernel of its own; a pass replaces it by `expand(builder, op)`'s values."""

    expand: Body


@dataclass(frozen=True, slots=True)
class Structural:
    """The op is handled by the named stage of the compiler (constants, fusions, regions)."""

    stage: str


Lowering: TypeAlias = Element | Reduction | Loops | Composite | Structural


@dataclass(frozen=True, slots=True)
class NoGradient:
    """The op has no gradient, for the stated reason; cotangents stop there."""

    reason: str


Cotangents: TypeAlias = "Sequence[Value | None]"
Differentiate: TypeAlias = (
    "Callable[[Builder, Sequence[Value], Sequence[Value], Cotangents], Cotangents]"
)


@dataclass(frozen=True, slots=True)
class GradientByRegions:
    """The op is differentiated by differentiating its regions.

    `run(builder, op, cotangents, wanted, differentiate)` gives the operands' cotangents like any
    gradient; `wanted` tells which operands need one, and `differentiate(builder, outputs, inputs,
    cotangents)` is reverse mode itself.
    """

    run: Callable[[Builder, Op, Cotangents, Sequence[bool], Differentiate], Cotangents]


Gradient: TypeAlias = (
    "Callable[[Builder, Op, Cotangents], Cotangents] | FromBody | GradientByRegions | NoGradient"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Arithmetic operations and bytes moved, were the op run alone."""

    flops: int
    bytes: int


@dataclass(frozen=True, slots=True)
class OpRecord:
    """One op.

    `attributes` names each attribute with its kind: "int", "float", "bool", "str", "dtype",
    "ints" (tuple of integers), "dims" (tuple of dims), "pairs" (tuple of pairs of integers) or
    "array"; one whose kind ends in "?" may be left out.
    `type_rule(types, attributes)` gives the results' types or raises TypeRuleError citing the
    constraint's number (C1, C2, ...).  `evaluate(op, arrays)` is the meaning, in numpy; it must be
    total (no operand may raise) and 16-bit floats are computed in f32 and rounded.
    `gradient(builder, op, cotangents)` gives a cotangent (or None) for each operand from one for
    each result (None where it is zero; at least one is not None); what it gives for operands that
    are not floats is ignored.  `cost` counts an addition, multiplication, comparison or selection
    as 1 flop, a division or square root as 8, a transcendental function as 16, a power as 32.
    """

    name: str
    attributes: Mapping[str, str]
    type_rule: TypeRule | RegionRule
    evaluate: Evaluate
    gradient: Gradient
    lowering: Lowering
    cost: Callable[[Op], Cost]


def elementwise_cost(op: Op) -> Cost:
    """One operation an element of the result; operands and results moved once."""
    return Cost(op.results[0].type.elements, bytes_moved(op))


def movement_cost(op: Op) -> Cost:
    """No arithmetic; operands and results moved once."""
    return Cost(0, bytes_moved(op))


def bytes_moved(op: Op) -> int:
    """Bytes of all operands and results."""
    return sum(value.type.bytes for value in (*op.operands, *op.results))
