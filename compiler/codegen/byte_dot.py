"""The instruction byte_dot (compiler/kernel/instructions.py) as x86's VPDPBUSD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llvmlite import ir

from tensorkiln.compiler.codegen.memory import Address
from tensorkiln.compiler.codegen.scalars import splat
from tensorkiln.compiler.kernel.instructions import BYTES
from tensorkiln.compiler.kernel.stmt import Invoke

if TYPE_CHECKING:
    from tensorkiln.compiler.codegen.emit import KernelEmitter, Scope

_WORD = ir.IntType(32)


def emit_byte_dot(emitter: KernelEmitter, stmt: Invoke, scope: Scope) -> None:
    """Adds the products of four bytes a lane; the bytes of a lane travel as one word."""
    builder = emitter.builder
    lanes = stmt.instruction.parameters[0].elements
    kind = ir.VectorType(_WORD, lanes)
    total, a, b = (Address(emitter, w.buffer, w.index, scope) for w in stmt.windows)

    def broadcast() -> ir.Value:
        word = builder.load(a.pointer(BYTES), align=1, typ=_WORD)
        return splat(builder, word, lanes)

    def weights() -> ir.Value:
        return builder.load(b.pointer(BYTES * lanes), align=1, typ=kind)

    # Nothing in the kernel writes them: a tile reads each once.
    left, right = (
        emitter.once(("bytes", lanes, address.key), make)
        if address.key is not None and address.buffer.name in emitter.frozen
        else make()
        for address, make in ((a, broadcast), (b, weights))
    )
    pointer = total.pointer(lanes)
    before = builder.load(pointer, align=4, typ=kind)
    name = f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    builder.store(builder.call(function, [before, left, right]), pointer, align=4)
