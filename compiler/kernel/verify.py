"""Checks that a kernel means something, by numbered invariants.

K1   a variable or buffer is used where it is visible, and as it was declared
K2   no declaration hides a visible name
K3   operands, conditions, stored values and indices have the types that they must have
K4   an access has one index a dim of its buffer
K5   a loop variable is i64, its step at least 1, its extent no less than the loop's end (the extent
     of lanes may be less: then indices are right for the lanes below it, and conditions keep out
     the others); the bounds of an unrolled loop are constant but for unrolled variables; a vector
     loop runs from 0 by 1 to a positive constant
K6   inside of a vector loop there is no vector, parallel, block or thread loop, no alloc, no
     barrier and no instruction; bounds of loops there are the same for all lanes, and so is the
     value stored to an element that is the same for all lanes
K7   stores go to outputs and to allocated buffers
K8   a barrier is inside of a thread loop, and not under a condition or in a loop whose bounds
     depend on the thread
K9   an access that no condition guards is in range wherever the range of its index is known
K10  iterations of a parallel or block loop do not store to one element, as far as that can be seen
K11  buffers have no negative dims; allocated ones are local, or shared and then in a block loop
     but no thread loop
K12  a parallel loop is in no parallel, block or thread loop, a block loop in no parallel or thread
     loop, a thread loop in no parallel loop
K13  an instruction gets a window for each parameter, of the parameter's dtype and at least its
     rank; it stores only to parameters whose windows may be stored to; instructions of one name are
     equal
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from tensorkiln.compiler.ir.dtypes import BOOL
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    THREADS,
    Buffer,
    Const,
    Expr,
    Load,
    Var,
    children,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Instruction,
    Invoke,
    Kernel,
    Let,
    LoopKind,
    Stmt,
    Store,
    walk,
)  # fmt: skip
from tensorkiln.compiler.kernel.text import print_block, print_expr
from tensorkiln.compiler.kernel.verify_parallel import write_conflict
from tensorkiln.compiler.kernel.verify_range import exact_range
from tensorkiln.compiler.kernel.verify_types import type_error
from tensorkiln.runtime.errors import VerifyError

_GRID = (LoopKind.PARALLEL, LoopKind.BLOCK, LoopKind.THREAD)
# The kinds of loop that a loop of some kind must not be inside of (K6, K12).
_NOT_INSIDE: dict[LoopKind, tuple[LoopKind, ...]] = {
    LoopKind.SERIAL: (),
    LoopKind.UNROLLED: (),
    LoopKind.VECTOR: (LoopKind.VECTOR,),
    LoopKind.PARALLEL: (*_GRID, LoopKind.VECTOR),
    LoopKind.BLOCK: (LoopKind.PARALLEL, LoopKind.THREAD, LoopKind.VECTOR),
    LoopKind.THREAD: (LoopKind.PARALLEL, LoopKind.VECTOR),
}
# Wider than any buffer: a range beyond it only says that nothing is known.
_UNKNOWN = 1 << 48


def verify_kernel(kernel: Kernel) -> None:
    """Raises VerifyError, which names the kernel, the invariant and the statement that breaks it."""
    writable = frozenset(buffer.name for buffer in kernel.written)
    _Verifier(f"kernel {kernel.name}", {}).body(kernel.parameters, writable, kernel.body)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What is visible, and what the loops and conditions around say."""

    names: dict[str, Var | Buffer]
    writable: frozenset[str]
    loops: tuple[For, ...] = ()
    conditions: tuple[Expr, ...] = ()
    lane_names: frozenset[str] = frozenset()  # what differs from lane to lane
    thread_names: frozenset[str] = frozenset()  # what differs from thread to thread

    @property
    def in_vector(self) -> bool:
        return self.inside(LoopKind.VECTOR)

    def inside(self, *kinds: LoopKind) -> bool:
        return any(loop.kind in kinds for loop in self.loops)


class _Verifier:
    def __init__(self, owner: str, instructions: dict[str, Instruction]) -> None:
        self.owner = owner
        self.instructions = instructions
        self.stmt: Stmt | None = None

    def body(self, parameters: Sequence[Buffer], writable: frozenset[str], block: Block) -> None:
        scope = _Scope({THREADS.name: THREADS}, writable)
        for buffer in parameters:
            self._declare(buffer.name, buffer, scope)
            self._check_shape(buffer)
        self.block(block, scope)

    def block(self, block: Block, outer: _Scope) -> None:
        scope = replace(outer, names=dict(outer.names))
        for stmt in block:
            self.stmt = stmt
            scope = self._visit(stmt, scope)

    def fail(self, number: int, message: str) -> NoReturn:
        where = "" if self.stmt is None else f", at: {print_block((self.stmt,)).splitlines()[0]}"
        raise VerifyError(f"{self.owner}: K{number}: {message}{where}")

    def _visit(self, stmt: Stmt, scope: _Scope) -> _Scope:
        """Checks a statement; the scope that the next one sees."""
        match stmt:
            case Let(var, value):
                return self._let(var, value, scope)
            case Store(buffer, index, value):
                self._store(buffer, index, value, scope)
            case Alloc(buffer):
                return self._alloc(buffer, scope)
            case For():
                self._loop(stmt, scope)
            case If(condition, body):
                self._condition(condition, scope)
                self.block(body, replace(scope, conditions=(*scope.conditions, condition)))
            case Barrier():
                self._barrier(scope)
            case Invoke():
                self._invoke(stmt, scope)
        return scope

    def _declare(self, name: str, thing: Var | Buffer, scope: _Scope) -> None:
        if name in scope.names:
            self.fail(2, f"{name} hides another {name}")
        scope.names[name] = thing

    # Statements

    def _let(self, var: Var, value: Expr, scope: _Scope) -> _Scope:
        self._expr(value, scope)
        if var.dtype != value.dtype:
            self.fail(3, f"{var.name} is {var.dtype}, its value {value.dtype}")
        self._declare(var.name, var, scope)
        lanes = scope.lane_names | ({var.name} if _uses(value, scope.lane_names) else set())
        threads = scope.thread_names
        if threads and (_uses(value, threads) or _loads(value)):
            threads |= {var.name}
        return replace(scope, lane_names=lanes, thread_names=threads)

    def _store(self, buffer: Buffer, index: tuple[Expr, ...], value: Expr, scope: _Scope) -> None:
        self._access(buffer, index, scope, guarded=False)
        self._expr(value, scope)
        if value.dtype != buffer.dtype:
            self.fail(3, f"{buffer.name} holds {buffer.dtype}, the value is {value.dtype}")
        self._check_writable(buffer, scope)
        same = not any(_uses(expr, scope.lane_names) for expr in index)
        if scope.in_vector and same and _uses(value, scope.lane_names):
            self.fail(6, f"all lanes store different values to one element of {buffer.name}")

    def _check_writable(self, buffer: Buffer, scope: _Scope) -> None:
        if buffer.name not in scope.writable:
            self.fail(7, f"{buffer.name} is neither an output nor allocated here")

    def _alloc(self, buffer: Buffer, scope: _Scope) -> _Scope:
        if scope.in_vector:
            self.fail(6, f"{buffer.name} is allocated inside of a vector loop")
        in_block = scope.inside(LoopKind.BLOCK) and not scope.inside(LoopKind.THREAD)
        if buffer.space != "local" and not (buffer.space == "shared" and in_block):
            self.fail(11, f"{buffer.name} cannot be allocated in space {buffer.space} here")
        self._check_shape(buffer)
        self._declare(buffer.name, buffer, scope)
        return replace(scope, writable=scope.writable | {buffer.name})

    def _check_shape(self, buffer: Buffer) -> None:
        if min(buffer.shape, default=0) < 0:
            self.fail(11, f"{buffer.name} has shape {buffer.shape}")

    def _barrier(self, scope: _Scope) -> None:
        if scope.in_vector:
            self.fail(6, "a barrier inside of a vector loop")
        if not scope.inside(LoopKind.THREAD):
            self.fail(8, "a barrier outside of thread loops")
        if scope.conditions:
            self.fail(8, "a barrier under a condition")
        for loop in scope.loops:
            if any(_uses(bound, scope.thread_names) for bound in (loop.start, loop.stop)):
                self.fail(
                    8, f"a barrier in loop {loop.var.name}, whose bounds depend on the thread"
                )

    # Loops

    def _loop(self, loop: For, scope: _Scope) -> None:
        name = loop.var.name
        for bound in (loop.start, loop.stop):
            self._expr(bound, scope)
            if bound.dtype != INDEX:
                self.fail(3, f"a bound of loop {name} is {bound.dtype}, not {INDEX}")
            if _uses(bound, scope.lane_names):
                self.fail(6, f"the bounds of loop {name} differ from lane to lane")
        self._check_counting(loop)
        for around in scope.loops:
            if around.kind in _NOT_INSIDE[loop.kind]:
                number = 6 if around.kind is LoopKind.VECTOR else 12
                self.fail(
                    number, f"{loop.kind.value} loop {name} inside of {around.kind.value} "
                    f"loop {around.var.name}",
                )  # fmt: skip
        inner = replace(scope, names=dict(scope.names), loops=(*scope.loops, loop))
        self._declare(name, loop.var, inner)
        if loop.kind is LoopKind.VECTOR and loop.stop != Const(1, INDEX):
            inner = replace(inner, lane_names=frozenset((name,)))
        if loop.kind is LoopKind.THREAD:
            inner = replace(inner, thread_names=scope.thread_names | {name})
        self._check_constant_bounds(loop, scope)
        if loop.kind in (LoopKind.PARALLEL, LoopKind.BLOCK):
            conflict = write_conflict(loop)
            if conflict is not None:
                self.fail(10, conflict)
        self.block(loop.body, inner)

    def _check_counting(self, loop: For) -> None:
        name, extent = loop.var.name, loop.var.extent
        if loop.var.dtype != INDEX or loop.step < 1:
            self.fail(5, f"loop {name} counts {loop.var.dtype} by {loop.step}")
        low, high = ix.bounds(loop.start)[0], ix.bounds(loop.stop)[1]
        if -_UNKNOWN < low < 0:
            self.fail(5, f"loop {name} starts at {low}")
        if loop.kind is LoopKind.VECTOR:
            return
        if extent is not None and extent < high < _UNKNOWN:
            self.fail(5, f"loop {name} goes up to {high}, its extent is {extent}")

    def _check_constant_bounds(self, loop: For, scope: _Scope) -> None:
        name = loop.var.name
        if loop.kind is LoopKind.VECTOR:
            whole = loop.start == Const(0, INDEX) and loop.step == 1
            if not whole or not isinstance(loop.stop, Const) or loop.stop.value < 1:
                self.fail(5, f"vector loop {name} does not run from 0 by 1 to a positive constant")
        if loop.kind is LoopKind.UNROLLED:
            unrolled = {a.var.name for a in scope.loops if a.kind is LoopKind.UNROLLED}
            for bound in (loop.start, loop.stop):
                if _loads(bound) or any(not _only(node, unrolled) for node in _nodes(bound)):
                    self.fail(5, f"the bounds of unrolled loop {name} are not constant")

    # Expressions

    def _condition(self, condition: Expr, scope: _Scope) -> None:
        self._expr(condition, scope)
        if condition.dtype != BOOL:
            self.fail(3, f"the condition is {condition.dtype}, not bool")

    def _expr(self, expr: Expr, scope: _Scope, guarded: bool = False) -> None:
        if isinstance(expr, Load):
            self._access(expr.buffer, expr.index, scope, guarded or expr.guard is not None)
            if expr.guard is not None:
                self._expr(expr.guard, scope, guarded)
        else:
            for child in children(expr):
                self._expr(child, scope, guarded)
        if isinstance(expr, Var) and scope.names.get(expr.name) != expr:
            declared = scope.names.get(expr.name)
            self.fail(1, f"{expr} is used, {declared} is declared")
        error = type_error(expr)
        if error is not None:
            self.fail(3, f"{error}: {print_expr(expr)}")

    def _access(
        self, buffer: Buffer, index: tuple[Expr, ...], scope: _Scope, guarded: bool
    ) -> None:
        if scope.names.get(buffer.name) != buffer:
            self.fail(1, f"{buffer} is used, {scope.names.get(buffer.name)} is declared")
        if len(index) != len(buffer.shape):
            self.fail(4, f"{buffer.name} has {len(buffer.shape)} dims, not {len(index)}")
        for axis, expr in enumerate(index):
            self._expr(expr, scope, guarded)
            if expr.dtype != INDEX:
                self.fail(3, f"an index of {buffer.name} is {expr.dtype}, not {INDEX}")
            if not guarded and not scope.conditions:
                self._check_range(buffer, axis, expr, 1, scope)

    def _check_range(self, buffer: Buffer, axis: int, expr: Expr, size: int, scope: _Scope) -> None:
        found = exact_range(expr, scope.loops)
        if found is None:
            return
        low, high = found
        if low < 0 or high > buffer.shape[axis] - size:
            self.fail(
                9, f"index {axis} of {buffer.name} is in {low}..{high + size - 1}, "
                f"its dim has size {buffer.shape[axis]}",
            )  # fmt: skip

    # Instructions

    def _invoke(self, stmt: Invoke, scope: _Scope) -> None:
        instruction = stmt.instruction
        name = instruction.name
        # A hint has an empty body: it touches nothing, whatever lanes or addresses it names.
        hint = not instruction.body
        if scope.in_vector and not hint:
            self.fail(6, f"instruction {name} inside of a vector loop")
        if len(stmt.windows) != len(instruction.parameters):
            self.fail(13, f"{name} has {len(instruction.parameters)} parameters")
        if self.instructions.setdefault(name, instruction) != instruction:
            self.fail(13, f"two instructions are named {name}")
        stored = {s.buffer.name for s in walk(instruction.body) if isinstance(s, Store)}
        for parameter, window in zip(instruction.parameters, stmt.windows, strict=True):
            outer = len(window.buffer.shape) - len(parameter.shape)
            if parameter.dtype != window.buffer.dtype or outer < 0:
                self.fail(13, f"{window.buffer} does not fit {name}'s parameter {parameter}")
            self._access(window.buffer, window.index, scope, guarded=True)
            if parameter.name in stored:
                self._check_writable(window.buffer, scope)
            if not scope.conditions and not hint:
                sizes = (1,) * outer + parameter.shape
                for axis, (expr, size) in enumerate(zip(window.index, sizes, strict=True)):
                    self._check_range(window.buffer, axis, expr, size, scope)
        parameters = frozenset(p.name for p in instruction.parameters)
        inner = _Verifier(f"{self.owner}: instruction {name}", self.instructions)
        inner.body(instruction.parameters, parameters, instruction.body)


def _nodes(expr: Expr) -> list[Expr]:
    return [expr, *(node for child in children(expr) for node in _nodes(child))]


def _uses(expr: Expr, names: frozenset[str]) -> bool:
    return bool(names) and any(isinstance(n, Var) and n.name in names for n in _nodes(expr))


def _loads(expr: Expr) -> bool:
    return any(isinstance(node, Load) for node in _nodes(expr))


def _only(node: Expr, names: set[str]) -> bool:
    return not isinstance(node, Var) or node.name in names
