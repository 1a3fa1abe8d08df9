"""Kernel IR to LLVM IR: one fold over the loop tree.

A `KernelEmitter` walks the statements of one kernel.  Its environment maps names to LLVM values;
inside a vector loop, values that depend on the lane are LLVM vectors and all others stay scalars
until the two meet.  A Target that realises loops otherwise (a GPU) overrides the `loop_*`
methods, `allocate` and `barrier`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from llvmlite import ir

from tensorkiln.compiler.codegen import conversions, memory, scalars, shuffles
from tensorkiln.compiler.codegen.bounds import Bounds
from tensorkiln.compiler.codegen.byte_dot import emit_byte_dot
from tensorkiln.compiler.codegen.forms import Forms
from tensorkiln.compiler.codegen.scalars import lanes_of, register_type, splat
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Bitcast,
    Buffer,
    Const,
    Convert,
    Expr,
    Fma,
    Load,
    Select,
    Unary,
    Var,
)  # fmt: skip
from tensorkiln.compiler.kernel.instructions import (
    BYTE_DOT,
    PREFETCH,
    PREFETCH_OUTER,
    TRANSPOSE,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Invoke,
    Let,
    LoopKind,
    Stmt,
    Store,
)  # fmt: skip
from tensorkiln.compiler.kernel.substitute import inline_instruction
from tensorkiln.runtime.errors import UnsupportedError

I64 = ir.IntType(64)


@dataclass(frozen=True)
class Scope:
    """What is visible at a point: names, buffers, the lane variable and the active mask."""

    values: dict[str, ir.Value] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    pointers: dict[str, ir.Value] = field(default_factory=dict)
    lane: tuple[str, int] | None = None
    mask: ir.Value | None = None

    def child(self) -> Scope:
        """A copy whose names can be extended without touching this one."""
        return Scope(
            dict(self.values), dict(self.constants), dict(self.pointers), self.lane, self.mask
        )


class KernelEmitter:
    """Emits the statements of one kernel into an LLVM function."""

    def __init__(self, builder: ir.IRBuilder, parallel: Callable[..., None] | None = None) -> None:
        self.builder = builder
        self._parallel = parallel
        self.forms = Forms()
        self.frozen: frozenset[str] = frozenset()  # what one read of serves a basic block
        self.bounds: Bounds | None = None
        self._made: dict[Hashable, ir.Value] = {}
        self._made_in: ir.Block | None = None
        self._counts: dict[Hashable, tuple[ir.Block | None, int]] = {}
        self._places: dict[tuple[int, int], ir.Value] = {}

    def place(self, pointer: ir.Value, offset: int, kind: ir.Type) -> ir.Value:
        """The address of element `offset` of an array on the stack, made once in the function."""
        key = (id(pointer), offset)
        if key not in self._places:
            with self.builder.goto_entry_block():
                place = self.builder.gep(
                    pointer, [scalars.index_constant(offset)], source_etype=kind, inbounds=True
                )
            self._places[key] = place
        return self._places[key]

    def once(self, key: Hashable, make: Callable[[], ir.Value]) -> ir.Value:
        """The value that `make` emits, made once for each key and basic block.

        LLVM would merge the copies as well; not making them is what keeps unrolled tiles quick to
        compile.
        """
        if self._made_in is not self.builder.block:
            self._made, self._made_in = {}, self.builder.block
        value = self._made.get(key)
        if value is None:
            value = make()
            if self._made_in is self.builder.block:
                self._made[key] = value
        return value

    def forget(self) -> None:
        """Makes values anew from here on: a store has changed what loads of them read."""
        self._made = {}

    def other_name(self, pointer: ir.Value, number: int) -> ir.Value:
        """Name `number` of `pointer`, behind which LLVM does not know the pointer.

        It is made here and not once for all: an address of one register only is what lets a
        load and the arithmetic on it stay one operation inside of the processor.
        """
        kind = ir.FunctionType(pointer.type, [pointer.type])
        return self.once(
            ("name", number, pointer),
            lambda: self.builder.asm(kind, "", "=r,0", [pointer], False),
        )

    def count(self, key: Hashable) -> int:
        """How often this was called with `key` in this basic block."""
        block, number = self._counts.get(key, (None, 0))
        number = number + 1 if block is self.builder.block else 1
        self._counts[key] = self.builder.block, number
        return number

    def atom(self, atom: Expr, scope: Scope) -> ir.Value:
        """The value of a term of an index that is no plain variable."""
        names = self.forms.names(atom)
        known = tuple(
            scope.constants[n] if n in scope.constants else id(scope.values.get(n)) for n in names
        )
        return self.once(("atom", atom, known), lambda: self.expr(atom, scope))

    def block(self, block: Block, scope: Scope) -> None:
        """Emits statements in order; names they make end with the block."""
        scope = scope.child()
        for stmt in block:
            self.stmt(stmt, scope)

    def stmt(self, stmt: Stmt, scope: Scope) -> None:
        """Emits one statement; a Let or Alloc extends `scope`."""
        match stmt:
            case Let(var, value):
                scope.values[var.name] = self.expr(value, scope)
            case Store():
                memory.store(self, stmt, scope)
            case Alloc(buffer):
                scope.pointers[buffer.name] = self.allocate(buffer)
            case For():
                self.loop(stmt, scope)
            case If(condition, body):
                self.conditional(condition, body, scope)
            case Barrier():
                self.barrier()
            case Invoke(instruction, windows) if instruction.name.startswith(PREFETCH):
                outer = instruction.name.startswith(PREFETCH_OUTER)
                memory.prefetch(self, windows[0], scope, outer)
            case Invoke(instruction, windows) if instruction.name.startswith(TRANSPOSE):
                shuffles.transpose(self, windows[0], windows[1], scope)
            case Invoke(instruction) if instruction.name.startswith(BYTE_DOT):
                emit_byte_dot(self, stmt, scope)
            case Invoke():
                self.block(inline_instruction(stmt), scope)

    # Loops

    def loop(self, stmt: For, scope: Scope) -> None:
        """Emits a loop as its kind says."""
        match stmt.kind:
            case LoopKind.SERIAL:
                self.loop_serial(stmt, scope)
            case LoopKind.UNROLLED:
                self.loop_unrolled(stmt, scope)
            case LoopKind.VECTOR:
                self.loop_vector(stmt, scope)
            case LoopKind.PARALLEL:
                self.loop_parallel(stmt, scope)
            case LoopKind.BLOCK | LoopKind.THREAD:
                self.loop_device(stmt, scope)

    def loop_serial(self, stmt: For, scope: Scope) -> None:
        """A counted loop, tested at its end; a test before it only where it may be empty."""
        start, stop = self.expr(stmt.start, scope), self.expr(stmt.stop, scope)
        if isinstance(start, ir.Constant) and isinstance(stop, ir.Constant):
            trips = -(-(stop.constant - start.constant) // stmt.step)
            if trips <= 0:
                return
            if trips == 1:
                inner = scope.child()
                inner.constants[stmt.var.name] = int(start.constant)
                self.block(stmt.body, inner)
                return
            self._counted(stmt, scope, start, stop)
            return
        with self.builder.if_then(self.builder.icmp_signed("<", start, stop)):
            self._counted(stmt, scope, start, stop)

    def _counted(self, stmt: For, scope: Scope, start: ir.Value, stop: ir.Value) -> None:
        builder = self.builder
        before = builder.block
        body = builder.append_basic_block(f"{stmt.var.name}.loop")
        after = builder.append_basic_block(f"{stmt.var.name}.end")
        builder.branch(body)
        builder.position_at_end(body)
        counter = builder.phi(I64, stmt.var.name)
        counter.add_incoming(start, before)
        inner = scope.child()
        inner.constants.pop(stmt.var.name, None)
        inner.values[stmt.var.name] = counter
        self.block(stmt.body, inner)
        following = builder.add(counter, ir.Constant(I64, stmt.step), flags=("nsw",))
        counter.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, stop), body, after)
        builder.position_at_end(after)

    def loop_unrolled(self, stmt: For, scope: Scope) -> None:
        """The body written out for each value of the variable."""
        start, stop = self.static(stmt.start, scope), self.static(stmt.stop, scope)
        for value in range(start, stop, stmt.step):
            inner = scope.child()
            inner.constants[stmt.var.name] = value
            self.block(stmt.body, inner)

    def loop_vector(self, stmt: For, scope: Scope) -> None:
        """The body once, with the variable as the lane number."""
        width = self.static(stmt.stop, scope)
        inner = scope.child()
        if width == 1:
            inner.constants[stmt.var.name] = 0
            self.block(stmt.body, inner)
            return
        if scope.lane is not None:
            raise UnsupportedError(f"vector loop {stmt.var.name} lies inside another vector loop")
        inner.values[stmt.var.name] = scalars.lane_numbers(width)
        nested = Scope(
            inner.values, inner.constants, inner.pointers, (stmt.var.name, width), scope.mask
        )
        self.block(stmt.body, nested)

    def loop_parallel(self, stmt: For, scope: Scope) -> None:
        """Iterations split over the pool's threads, where the caller gave a way to do that."""
        if self._parallel is None:
            self.loop_serial(stmt, scope)
            return
        self._parallel(self, stmt, scope)

    def loop_device(self, stmt: For, scope: Scope) -> None:
        """A CPU has no blocks and threads of a grid."""
        raise UnsupportedError(f"loop {stmt.var.name}: {stmt.kind.name} loops need a GPU target")

    def barrier(self) -> None:
        """A CPU kernel has nothing to wait for."""
        raise UnsupportedError("a barrier needs a GPU target")

    def allocate(self, buffer: Buffer) -> ir.Value:
        """Stack memory in the function's entry, 64-byte aligned."""
        kind = ir.ArrayType(scalars.memory_type(buffer.dtype), max(buffer.elements, 1))
        with self.builder.goto_entry_block():
            pointer = self.builder.alloca(kind, name=buffer.name)
        pointer.align = 64
        pointer.type = ir.PointerType()  # llvmlite's alloca gives a typed pointer
        return pointer

    def conditional(self, condition: Expr, body: Block, scope: Scope) -> None:
        """A branch where the condition is the same for all lanes, else a mask."""
        value = self.expr(condition, scope)
        if isinstance(value, ir.Constant) and lanes_of(value) == 1:
            if value.constant:
                self.block(body, scope)
            return
        if lanes_of(value) == 1:
            with self.builder.if_then(value):
                self.block(body, scope)
            return
        mask = value if scope.mask is None else self.builder.and_(scope.mask, value)
        masked = Scope(scope.values, scope.constants, scope.pointers, scope.lane, mask)
        self.block(body, masked)

    # Expressions

    def static(self, expr: Expr, scope: Scope) -> int:
        """The value of an index expression that must be constant here."""
        folded = self.fold(expr, scope)
        if not isinstance(folded, Const):
            raise UnsupportedError(f"loop bound {expr} is not a constant")
        return int(folded.value)

    def fold(self, expr: Expr, scope: Scope) -> Expr:
        """An index expression with the variables of unrolled loops replaced by their values."""
        match expr:
            case Var(name) if name in scope.constants:
                return ix.const(scope.constants[name])
            case Binary("add", a, b):
                return ix.add(self.fold(a, scope), self.fold(b, scope))
            case Binary("sub", a, b):
                return ix.sub(self.fold(a, scope), self.fold(b, scope))
            case Binary("mul", a, Const(value)) | Binary("mul", Const(value), a):
                return ix.mul(self.fold(a, scope), int(value))
            case Binary("floordiv", a, Const(value)):
                return ix.floordiv(self.fold(a, scope), int(value))
            case Binary("mod", a, Const(value)):
                return ix.mod(self.fold(a, scope), int(value))
            case _:
                return expr

    def expr(self, expr: Expr, scope: Scope) -> ir.Value:
        """The value of an expression: a vector if it depends on the lane, else a scalar."""
        builder = self.builder
        match expr:
            case Const(value, dtype):
                return scalars.literal(dtype, value)
            case Var(name):
                if name in scope.constants:
                    return scalars.index_constant(scope.constants[name])
                return scope.values[name]
            case Load():
                return memory.load(self, expr, scope)
            case Unary(op, x):
                return scalars.unary(builder, op, x.dtype, self.expr(x, scope))
            case Binary(op, a, b):
                if expr.dtype == INDEX:
                    folded = self.fold(expr, scope)
                    if folded != expr:
                        return self.expr(folded, scope)
                left, right = self.expr(a, scope), self.expr(b, scope)
                if op in ("floordiv", "mod") and ix.bounds(a)[0] >= 0:
                    return scalars.divide_index(builder, op, left, right)
                return scalars.binary(builder, op, a.dtype, left, right)
            case Fma(a, b, c):
                parts = self.unify(*(self.expr(e, scope) for e in (a, b, c)))
                return scalars.intrinsic(builder, "llvm.fma", parts, parts[0].type)
            case Select(condition, a, b):
                chosen, x, y = (self.expr(e, scope) for e in (condition, a, b))
                if lanes_of(chosen) > 1:
                    chosen, x, y = scalars.unify(builder, chosen, x, y)
                else:  # one condition for all lanes
                    x, y = scalars.unify(builder, x, y)
                found = builder.select(chosen, x, y)
                if lanes_of(found) == 1:
                    # Chosen by data: a branch would be guessed wrong half of the time.
                    found.set_metadata("unpredictable", builder.module.add_metadata([]))
                return found
            case Convert(x, dtype):
                return conversions.convert(builder, self.expr(x, scope), x.dtype, dtype)
            case Bitcast(x, dtype):
                return conversions.bitcast(builder, self.expr(x, scope), dtype)

    def unify(self, *values: ir.Value) -> list[ir.Value]:
        """The values with one element a lane, if any has; a scalar becomes a vector once a block."""
        lanes = max(map(lanes_of, values))
        return [self._lanes(value, lanes) for value in values]

    def _lanes(self, value: ir.Value, lanes: int) -> ir.Value:
        if not isinstance(value, ir.Instruction) or lanes_of(value) == lanes:
            return splat(self.builder, value, lanes)
        return self.once(("splat", id(value), lanes), lambda: splat(self.builder, value, lanes))

    def lane_value(self, value: ir.Value, scope: Scope) -> ir.Value:
        """`value` with one element a lane of the enclosing vector loop, if there is one."""
        return value if scope.lane is None else splat(self.builder, value, scope.lane[1])


def parameter_types(buffers: Sequence[Buffer]) -> list[ir.Type]:
    """One opaque pointer a buffer."""
    return [ir.PointerType() for _ in buffers]


__all__ = ["KernelEmitter", "Scope", "parameter_types", "register_type"]
