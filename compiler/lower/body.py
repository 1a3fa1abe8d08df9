"""Builds the statements of a kernel from the element functions of a fused group's ops.

`Body.read(value, index)` is where fusion happens: a value from outside of the group becomes a
load, one made inside becomes its producer's element at that index, generated in place.  What was
generated once at an index is remembered for the block it stands in and the blocks below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Buffer,
    Const,
    Expr,
    Index,
    Load,
    Var,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Let,
    LoopKind,
    Stmt,
    Store,
    loop,
)  # fmt: skip
from tensorkiln.compiler.lower.layout import Layout, row_major
from tensorkiln.compiler.lower.scalar_region import apply_region
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Element
from tensorkiln.runtime.errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class Place:
    """The buffer of a value and the layout it has there."""

    buffer: Buffer
    layout: Layout

    def index(self, logical: Index) -> Index:
        """The buffer index of a logical index."""
        return self.layout.physical_index(logical)


def place_for(value: Value, layout: Layout | None = None, name: str = "") -> Place:
    """A global buffer for `value`."""
    layout = layout or row_major(value.type.rank)
    shape = layout.physical_shape(value.shape)
    return Place(Buffer(name or f"v{value.name}", shape, value.dtype), layout)


@dataclass
class _Frame:
    statements: list[Stmt] = field(default_factory=list)
    elements: dict[tuple[Value, Index, Expr | None], Expr] = field(default_factory=dict)
    lets: dict[Expr, Expr] = field(default_factory=dict)


class Body:
    """A kernel body under construction; the ElementContext and LoopContext of op records."""

    def __init__(self, places: Mapping[Value, Place], producers: Mapping[Value, Op]) -> None:
        self.places = dict(places)
        self.producers = producers
        self.bound: dict[Value, Callable[[Index], Expr]] = {}
        self._frames = [_Frame()]
        self._guards: list[Expr] = []
        self._again = False
        self._count = 0
        self.current_op: Op | None = None

    # Names and statements

    def name(self, hint: str = "t") -> str:
        """A name not used before in this kernel."""
        self._count += 1
        return f"{hint}{self._count}"

    def emit(self, stmt: Stmt) -> None:
        """Appends a statement to the block under construction."""
        self._frames[-1].statements.append(stmt)

    def finish(self) -> Block:
        """The statements of the outermost block."""
        (frame,) = self._frames
        return tuple(frame.statements)

    @contextmanager
    def frame(self, wrap: Callable[[Block], Stmt]) -> Iterator[None]:
        """Statements made inside become one statement by `wrap`."""
        self._frames.append(_Frame())
        yield
        self.emit_block(wrap, tuple(self._frames.pop().statements))

    def emit_block(self, wrap: Callable[[Block], Stmt], block: Block) -> None:
        """Appends `wrap(block)` unless the block is empty."""
        if block:
            self.emit(wrap(block))

    @contextmanager
    def over(self, extent: int, kind: LoopKind = LoopKind.SERIAL, hint: str = "i") -> Iterator[Var]:
        """A loop from 0 to `extent`."""
        var = Var(self.name(hint), INDEX, extent)
        with self.frame(lambda block: loop(var, block, kind)):
            yield var

    @contextmanager
    def between(
        self, start: Expr, stop: Expr, extent: int, kind: LoopKind = LoopKind.SERIAL, step: int = 1
    ) -> Iterator[Var]:
        """A loop from `start` below `stop`; the variable stays below `extent`."""
        var = Var(self.name("i"), INDEX, extent)
        with self.frame(lambda block: For(var, start, stop, kind, block, step)):
            yield var

    @contextmanager
    def when(self, condition: Expr) -> Iterator[None]:
        """Statements made inside run only where `condition` holds."""
        with self.frame(lambda block: If(condition, block)):
            yield

    def local(self, shape: tuple[int, ...], dtype: DType, hint: str = "acc") -> Buffer:
        """A local buffer that lives to the end of the current block."""
        buffer = Buffer(self.name(hint), shape, dtype, "local")
        self.emit(Alloc(buffer))
        return buffer

    def store(self, buffer: Buffer, index: Index, value: Expr, streaming: bool = False) -> None:
        """Appends a store."""
        self.emit(Store(buffer, index, value, streaming))

    def barrier(self) -> None:
        """Appends a barrier."""
        self.emit(Barrier())

    # ElementContext

    def let(self, expr: Expr) -> Expr:
        """Names `expr` unless it is a literal or a name already."""
        if isinstance(expr, Const | Var):
            return expr
        for frame in reversed(self._frames):
            if expr in frame.lets:
                return frame.lets[expr]
        var = Var(self.name(), expr.dtype)
        self.emit(Let(var, expr))
        # What a local buffer holds changes, so its loads are not remembered.
        if not (isinstance(expr, Load) and expr.buffer.space == "local"):
            self._frames[-1].lets[expr] = var
        return var

    def forget(self) -> None:
        """Drops what is remembered of loads in all open blocks (after a store that changes them)."""
        for frame in self._frames:
            frame.elements.clear()
            frame.lets.clear()

    def load(self, buffer: Buffer, index: Index) -> Expr:
        """A named load under the current guards."""
        return self.let(Load(buffer, index, self._guard(), self._again))

    @contextmanager
    def reading_again(self, again: bool = True) -> Iterator[None]:
        """Loads made inside are made anew wherever they stand, if `again` (see `Load`)."""
        before, self._again = self._again, again
        yield
        self._again = before

    def read(self, value: Value, index: Index) -> Expr:
        """The element of `value` at `index`."""
        key = (value, index, self._guard())
        for frame in reversed(self._frames):
            if key in frame.elements:
                return frame.elements[key]
        element = self._element(value, index)
        self._frames[-1].elements[key] = element
        return element

    def _element(self, value: Value, index: Index) -> Expr:
        if value in self.bound:
            return self.bound[value](index)
        op = self.producers.get(value)
        if op is not None and value not in self.places:
            return self.element(op, index)
        place = self.places[value]
        return self.load(place.buffer, place.index(index))

    def element(self, op: Op, index: Index) -> Expr:
        """The element of an op's result, generated here."""
        if op.name == "constant":
            data = op.array("value")
            if data.size != 1:
                raise UnsupportedError(f"constant %{op.result.name} must be a buffer")
            return Const(data.reshape(())[()].item(), op.result.dtype)
        lowering = REGISTRY[op.name].lowering
        if not isinstance(lowering, Element):
            raise UnsupportedError(f"{op.name} is not elementwise: {op.location}")
        return lowering.element(self, op, index)

    def _guard(self) -> Expr | None:
        guard: Expr | None = None
        for condition in self._guards:
            guard = condition if guard is None else Binary("and", guard, condition)
        return guard

    @contextmanager
    def guard(self, condition: Expr) -> Iterator[None]:
        """Reads made inside happen only where `condition` holds."""
        if isinstance(condition, Const) and condition.value:
            yield
            return
        self._guards.append(condition)
        yield
        self._guards.pop()

    # LoopContext

    @contextmanager
    def loop(self, extent: int, kind: str = "for") -> Iterator[Expr]:
        """A loop from 0 to `extent` of kind "for" or "parallel"."""
        with self.over(extent, LoopKind(kind)) as var:
            yield var

    def write(self, result: int, index: Index, value: Expr) -> None:
        """Stores an element of the current op's result number `result`; nothing if none reads it."""
        if self.current_op is not None and self.current_op.results[result] not in self.places:
            return
        place = self._result(result)
        self.store(place.buffer, place.index(index), value)
        self.forget()

    def apply(self, region: Function, arguments: Sequence[Expr]) -> list[Expr]:
        """The results of a region of elementwise ops on scalars."""
        return apply_region(self, region, arguments)

    def read_result(self, result: int, index: Index) -> Expr:
        """What result number `result` holds now; loops may change it, so it is not remembered."""
        place = self._result(result)
        var = Var(self.name(), place.buffer.dtype)
        self.emit(Let(var, Load(place.buffer, place.index(index), self._guard())))
        return var

    def _result(self, result: int) -> Place:
        if self.current_op is None:
            raise UnsupportedError("write outside of an op's own loops")
        return self.places[self.current_op.results[result]]
