"""Kernels whose buffers lie densely: row-major at the sizes of the call, not at capacity.

    q: f32[4,28,64]          q: f32[112,64]
    q[i, j, c]         ->    q[i * tokens + j, c]

Dims up to the last open one become one.  A store of what is not in use would hit an element that
is, so it is put under a condition where loops do not see to that already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Const, Expr, Index, Load
from tensorkiln.compiler.kernel.limits import Limit
from tensorkiln.compiler.kernel.stmt import Block, For, If, Kernel, Let, LoopKind, Stmt, Store
from tensorkiln.compiler.kernel.substitute import map_expressions, rewrite_expr

Stored = Mapping[str, Sequence[Limit | None]]  # of each dense buffer's dims: None if all is used


def dense(kernel: Kernel, stored: Stored) -> Kernel:
    """The kernel with buffers of its parameters stored at the call's sizes.

    No instruction may have a window of one of them.
    """
    places = {b.name: _places(b, stored[b.name]) for b in kernel.parameters if b.name in stored}

    def load(expr: Expr) -> Expr | None:
        if isinstance(expr, Load) and expr.buffer.name in places:
            place = places[expr.buffer.name]
            return replace(expr, buffer=place.buffer, index=place.index(expr.index))
        return None

    guarded = _Stores(places).block(kernel.body, frozenset())
    body = map_expressions(guarded, lambda expr: rewrite_expr(expr, load))
    parameters = (places[b.name].buffer if b.name in places else b for b in kernel.parameters)
    return replace(kernel, parameters=tuple(parameters), body=body)


@dataclass(frozen=True)
class _Places:
    """Where elements of a dense buffer lie; `limits` are those of the dims that become one."""

    buffer: Buffer
    limits: tuple[Limit, ...]

    def parts(self, index: Index) -> list[tuple[Expr, Expr]]:
        """The place in each factor of the joined dims, and how many are in use."""
        found = []
        for place, limit in zip(index, self.limits, strict=False):
            inner = math.prod(size for size, _ in limit)
            for number, (size, extent) in enumerate(limit):
                inner //= size
                part = ix.floordiv(place, inner)
                found.append((ix.mod(part, size) if number else part, extent))
        return found

    def index(self, index: Index) -> Index:
        """Where the element with this index at capacity lies."""
        row: Expr = ix.ZERO
        for part, extent in self.parts(index):
            row = ix.add(_times(row, extent), part)
        return (row, *index[len(self.limits) :])

    def conditions(self, index: Index) -> list[Expr]:
        """What is true where the element is in use."""
        parts = self.parts(index)
        return [Binary("lt", part, extent) for part, extent in parts if not _is_const(extent)]


def _places(buffer: Buffer, limits: Sequence[Limit | None]) -> _Places:
    count = max(k for k, limit in enumerate(limits) if limit is not None) + 1
    joined = tuple(
        limit if limit is not None else ((size, ix.const(size)),)
        for size, limit in zip(buffer.shape[:count], limits[:count], strict=True)
    )
    shape = (math.prod(buffer.shape[:count]), *buffer.shape[count:])
    return _Places(replace(buffer, shape=shape), joined)


class _Stores:
    """Stores into dense buffers, under conditions; loads stay as they are."""

    def __init__(self, places: Mapping[str, _Places]) -> None:
        self.places = places

    def block(self, block: Block, known: frozenset[Expr]) -> Block:
        return tuple(self._stmt(stmt, known) for stmt in block)

    def _stmt(self, stmt: Stmt, known: frozenset[Expr]) -> Stmt:
        match stmt:
            case Store(buffer, index) if buffer.name in self.places:
                place = self.places[buffer.name]
                made: Stmt = replace(stmt, buffer=place.buffer, index=place.index(index))
                for condition in reversed(place.conditions(index)):
                    if not _follows(condition, known):
                        made = If(condition, (made,))
                return made
            case If(condition, body):
                return replace(stmt, body=self.block(body, known | {condition}))
            case For(var, _, stop, kind, body):
                own = frozenset(Binary("lt", var, end) for end in _ends(stop))
                inner = self.block(body, known | own)
                return (
                    _outward(replace(stmt, body=inner))
                    if kind is LoopKind.VECTOR
                    else (replace(stmt, body=inner))
                )
            case _:
                return stmt


def _ends(stop: Expr) -> list[Expr]:
    """Numbers that a loop's variable is below, if the loop runs from 0 on."""
    match stop:
        case Binary("min", a, b):
            return [*_ends(a), *_ends(b)]
        case Binary("max", a, Const(0)):
            return _ends(a)
        case _:
            return [stop]


def _follows(condition: Expr, known: frozenset[Expr]) -> bool:
    if condition in known:
        return True
    match condition:
        case Binary("lt", Binary("floordiv", x, Const(by)), extent):
            return Binary("lt", x, ix.mul(extent, int(by))) in known
        case _:
            return False


def _outward(loop: For) -> Stmt:
    """A vector loop of stores with the conditions that are the same for all lanes outside of it."""
    inner = {loop.var.name, *(s.var.name for s in loop.body if isinstance(s, Let))}
    stores = [s for s in loop.body if not isinstance(s, Let)]
    if not stores or not all(isinstance(s, If) for s in stores):
        return loop
    conditions = {s.condition for s in stores if isinstance(s, If)}
    if len(conditions) != 1:
        return loop
    (condition,) = conditions
    if any(ix.depends(condition, name) for name in inner):
        return loop
    bare: list[Stmt] = []
    for stmt in loop.body:
        bare += stmt.body if isinstance(stmt, If) else (stmt,)
    return If(condition, (_outward(replace(loop, body=tuple(bare))),))


def _times(row: Expr, extent: Expr) -> Expr:
    if row == ix.ZERO:
        return ix.ZERO
    if isinstance(extent, Const):
        return ix.mul(row, int(extent.value))
    return Binary("mul", row, extent)


def _is_const(extent: Expr) -> bool:
    return isinstance(extent, Const)
