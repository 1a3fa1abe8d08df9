"""Loads and stores: how the lane moves the address decides which instruction is used.

With the flat offset written as `uniform + stride * lane` a stride of 0 is one scalar access, 1 a
vector access, anything else a gather or scatter.  A mask (from an If inside of the vector loop)
or a guard makes the access a masked one.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from llvmlite import ir

from tensorkiln.compiler.codegen import scalars
from tensorkiln.compiler.codegen.scalars import lanes_of, memory_type, splat, widen
from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Buffer, Expr, Index, Load, Var
from tensorkiln.compiler.kernel.stmt import Store, Window

if TYPE_CHECKING:
    from tensorkiln.compiler.codegen.emit import KernelEmitter, Scope

I32, I64, POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()


class Address:
    """A flat element offset split into a uniform part, a lane stride, and a varying part."""

    def __init__(self, emitter: KernelEmitter, buffer: Buffer, index: Index, scope: Scope) -> None:
        terms, self.constant = emitter.forms.flat(buffer, index)
        self.emitter, self.buffer, self.scope = emitter, buffer, scope
        self.stride = 0
        self.name = 0  # a number for another name of the same memory
        self.inbounds = True  # false for hints, which may name what lies behind a buffer
        self.uniform: list[tuple[ir.Value, int]] = []
        self.varying: ir.Value | None = None
        for atom, coefficient in terms:
            self._atom(atom, coefficient)

    def _atom(self, atom: Expr, coefficient: int) -> None:
        scope = self.scope
        if isinstance(atom, Var):
            if scope.lane is not None and atom.name == scope.lane[0]:
                self.stride += coefficient
            elif atom.name in scope.constants:
                self.constant += scope.constants[atom.name] * coefficient
            else:
                self._term(scope.values[atom.name], coefficient)
            return
        if not scope.constants.keys().isdisjoint(self.emitter.forms.names(atom)):
            terms, constant = ix.linear(self.emitter.fold(atom, scope))
            self.constant += constant * coefficient
            for inner, factor in terms.items():
                if inner == atom:
                    self._term(self.emitter.atom(atom, scope), coefficient)
                else:
                    self._atom(inner, factor * coefficient)
            return
        self._term(self.emitter.atom(atom, scope), coefficient)

    def _term(self, value: ir.Value, coefficient: int) -> None:
        builder = self.emitter.builder
        if isinstance(value, ir.Constant) and lanes_of(value) == 1:
            self.constant += int(value.constant) * coefficient
            return
        if lanes_of(value) == 1:
            self.uniform.append((value, coefficient))
            return
        if coefficient != 1:
            factor = splat(builder, ir.Constant(I64, coefficient), lanes_of(value))
            value = builder.mul(value, factor, flags=("nsw",))
        self.varying = value if self.varying is None else builder.add(self.varying, value)

    @property
    def key(self) -> Hashable | None:
        """What tells this address from others of the kernel; None for a varying one."""
        if self.varying is not None:
            return None
        uniform = tuple((id(value), coefficient) for value, coefficient in self.uniform)
        return (self.buffer.name, uniform, self.constant, self.stride)

    def pointer(self, lanes: int = 1, mask: ir.Value | None = None) -> ir.Value:
        """The address of lane 0, for an access of `lanes` elements in a row under `mask`."""
        pointer = self._uniform_pointer()
        bounds = self.emitter.bounds
        if bounds is None or not self.inbounds:
            return pointer
        return bounds.one(self, pointer, lanes, mask)

    def _uniform_pointer(self) -> ir.Value:
        emitter, builder = self.emitter, self.emitter.builder
        kind = memory_type(self.buffer.dtype)
        pointer = self.scope.pointers[self.buffer.name]
        if self.uniform:
            uniform = tuple((id(value), coefficient) for value, coefficient in self.uniform)
            pointer = emitter.once(
                ("base", self.inbounds, self.buffer.name, uniform),
                lambda: self._base(pointer, kind),
            )
        if self.name:
            pointer = emitter.other_name(pointer, self.name)
        if self.constant:
            if not self.uniform and self.buffer.space == "local" and self.inbounds:
                return emitter.place(pointer, self.constant, kind)
            offset = scalars.index_constant(self.constant)
            pointer = builder.gep(pointer, [offset], source_etype=kind, inbounds=self.inbounds)
        return pointer

    def _base(self, pointer: ir.Value, kind: ir.Type) -> ir.Value:
        builder = self.emitter.builder
        total: ir.Value | None = None
        for value, coefficient in self.uniform:
            term = value
            if coefficient != 1:
                term = builder.mul(value, scalars.index_constant(coefficient), flags=("nsw",))
            total = term if total is None else builder.add(total, term, flags=("nsw",))
        return builder.gep(pointer, [total], source_etype=kind, inbounds=self.inbounds)

    def pointers(self, lanes: int, mask: ir.Value | None = None) -> ir.Value:
        """One address a lane, for an access under `mask`."""
        builder = self.emitter.builder
        kind = memory_type(self.buffer.dtype)
        steps = scalars.lane_numbers(lanes, self.stride)
        offsets = steps if self.varying is None else builder.add(steps, self.varying)
        moved = builder.gep(self._uniform_pointer(), [offsets], source_etype=kind)
        moved.type = ir.VectorType(POINTER, lanes)  # llvmlite types it as its base
        bounds = self.emitter.bounds
        return moved if bounds is None else bounds.many(self, moved, offsets, mask)

    @property
    def lanes(self) -> int:
        """How many different addresses there are."""
        if self.scope.lane is None or (self.stride == 0 and self.varying is None):
            return 1
        return self.scope.lane[1]


def load(emitter: KernelEmitter, expr: Load, scope: Scope) -> ir.Value:
    """The element, one a lane if the address moves with the lane."""
    address = Address(emitter, expr.buffer, expr.index, scope)
    frozen = scope.mask is None and expr.buffer.name in emitter.frozen
    if frozen and address.key and expr.guard is None:
        # Nothing writes the buffer in between, so one read serves a whole basic block; of those
        # to be made anew two differ, which lets each become an operand of one instruction.
        if expr.again:
            address.name = 1 + emitter.count(address.key) % 2
            return _load(emitter, expr, address, scope)
        return emitter.once(
            ("load", address.key, scope.lane), lambda: _load(emitter, expr, address, scope)
        )
    return _load(emitter, expr, address, scope)


def _load(emitter: KernelEmitter, expr: Load, address: Address, scope: Scope) -> ir.Value:
    dtype = expr.buffer.dtype
    guard = None if expr.guard is None else emitter.expr(expr.guard, scope)
    if address.lanes == 1 and (guard is None or lanes_of(guard) == 1):
        value = _load_scalar(emitter, address, dtype, guard, scope)
    else:
        value = _load_lanes(emitter, address, dtype, guard, scope)
    if dtype.kind == "bool":
        zero = scalars.splat(emitter.builder, ir.Constant(ir.IntType(8), 0), lanes_of(value))
        return emitter.builder.icmp_unsigned("!=", value, zero)
    return value


def _load_scalar(
    emitter: KernelEmitter, address: Address, dtype: DType, guard: ir.Value | None, scope: Scope
) -> ir.Value:
    kind = memory_type(dtype)
    if guard is None or (isinstance(guard, ir.Constant) and guard.constant):
        return _typed_load(emitter, address.pointer(), kind, dtype.bytes)
    builder = emitter.builder
    zero = ir.Constant(kind, 0)
    if isinstance(guard, ir.Constant):
        return zero
    before = builder.block
    with builder.if_then(guard):
        value = _typed_load(emitter, address.pointer(), kind, dtype.bytes)
        inside = builder.block
    merged = builder.phi(kind)
    merged.add_incoming(zero, before)
    merged.add_incoming(value, inside)
    return merged


def _typed_load(emitter: KernelEmitter, pointer: ir.Value, kind: ir.Type, align: int) -> ir.Value:
    return emitter.builder.load(pointer, align=align, typ=kind)


def _load_lanes(
    emitter: KernelEmitter, address: Address, dtype: DType, guard: ir.Value | None, scope: Scope
) -> ir.Value:
    assert scope.lane is not None
    lanes = scope.lane[1]
    kind = ir.VectorType(memory_type(dtype), lanes)
    mask = _mask(emitter, scope, guard, lanes)
    contiguous = address.stride == 1 and address.varying is None
    if contiguous and mask is None:
        return _typed_load(emitter, address.pointer(lanes), kind, dtype.bytes)
    zero = scalars.splat_constant(ir.Constant(kind.element, None), lanes)
    align = ir.Constant(I32, dtype.bytes)
    if contiguous:
        name, pointer = f"llvm.masked.load.{_suffix(kind)}.p0", address.pointer(lanes, mask)
    else:
        name = f"llvm.masked.gather.{_suffix(kind)}.v{lanes}p0"
        pointer = address.pointers(lanes, mask)
    mask = _all(lanes) if mask is None else mask
    return _call(emitter, name, kind, [pointer, align, mask, zero])


def store(emitter: KernelEmitter, stmt: Store, scope: Scope) -> None:
    """Writes the value, one element a lane if the address moves with the lane."""
    builder = emitter.builder
    dtype = stmt.buffer.dtype
    value = emitter.expr(stmt.value, scope)
    if stmt.buffer.name in emitter.frozen:
        emitter.forget()
    if dtype.kind == "bool":
        value = builder.zext(value, widen(ir.IntType(8), lanes_of(value)))
    address = Address(emitter, stmt.buffer, stmt.index, scope)
    if address.lanes == 1:
        _store_uniform(emitter, address, value, dtype, scope)
        return
    lanes = address.lanes
    value = splat(builder, value, lanes)
    mask = _mask(emitter, scope, None, lanes)
    contiguous = address.stride == 1 and address.varying is None
    if contiguous and mask is None:
        if stmt.streaming:
            _store_streaming(emitter, address.pointer(lanes), value, dtype)
        else:
            builder.store(value, address.pointer(lanes), align=dtype.bytes)
        return
    align = ir.Constant(I32, dtype.bytes)
    suffix = _suffix(value.type)
    if contiguous:
        name, pointer = f"llvm.masked.store.{suffix}.p0", address.pointer(lanes, mask)
    else:
        name = f"llvm.masked.scatter.{suffix}.v{lanes}p0"
        pointer = address.pointers(lanes, mask)
    mask = _all(lanes) if mask is None else mask
    _call(emitter, name, ir.VoidType(), [value, pointer, align, mask])


def prefetch(emitter: KernelEmitter, window: Window, scope: Scope, outer: bool) -> None:
    """Asks for the line of the window's first element, for reading, into all caches or all but
    the first."""
    address = Address(emitter, window.buffer, window.index, scope)
    address.inbounds = False
    pointer = address.pointer()
    read, near, data = (ir.Constant(I32, value) for value in (0, 2 if outer else 3, 1))
    _call(emitter, "llvm.prefetch.p0", ir.VoidType(), [pointer, read, near, data])


def _store_streaming(
    emitter: KernelEmitter, pointer: ir.Value, value: ir.Value, dtype: DType
) -> None:
    # Stores that bypass the caches need aligned addresses, and callers' arrays may be any.
    builder = emitter.builder
    size = dtype.bytes * lanes_of(value)
    low = builder.and_(builder.ptrtoint(pointer, I64), ir.Constant(I64, size - 1))
    aligned = builder.icmp_unsigned("==", low, ir.Constant(I64, 0))
    with builder.if_else(aligned, likely=True) as (then, otherwise):
        with then:
            instruction = builder.store(value, pointer, align=size)
            flag = builder.module.add_metadata([ir.Constant(I32, 1)])
            instruction.set_metadata("nontemporal", flag)
        with otherwise:
            builder.store(value, pointer, align=dtype.bytes)


def _store_uniform(
    emitter: KernelEmitter, address: Address, value: ir.Value, dtype: DType, scope: Scope
) -> None:
    # All lanes write one place: lane order says that the last one wins.
    builder = emitter.builder
    if lanes_of(value) > 1:
        value = builder.extract_element(value, ir.Constant(I32, lanes_of(value) - 1))
    if scope.mask is None:
        builder.store(value, address.pointer(), align=dtype.bytes)
        return
    lanes = lanes_of(scope.mask)
    bits = builder.bitcast(scope.mask, ir.IntType(lanes))
    with builder.if_then(builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))):
        builder.store(value, address.pointer(), align=dtype.bytes)


def _mask(
    emitter: KernelEmitter, scope: Scope, guard: ir.Value | None, lanes: int
) -> ir.Value | None:
    if guard is None:
        return scope.mask
    guard = splat(emitter.builder, guard, lanes)
    return guard if scope.mask is None else emitter.builder.and_(scope.mask, guard)


def _all(lanes: int) -> ir.Constant:
    return scalars.splat_constant(ir.Constant(ir.IntType(1), 1), lanes)


def _suffix(kind: ir.Type) -> str:
    names = {ir.FloatType(): "f32", ir.DoubleType(): "f64"}
    element = kind.element
    text = f"i{element.width}" if isinstance(element, ir.IntType) else names[element]
    return f"v{kind.count}{text}"


def _call(emitter: KernelEmitter, name: str, result: ir.Type, args: list[ir.Value]) -> ir.Value:
    module = emitter.builder.module
    function = module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result, [a.type for a in args])
        function = ir.Function(module, kind, name)
    return emitter.builder.call(function, args)


__all__ = ["Expr", "load", "store"]
