"""Instructions that move elements between the lanes of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llvmlite import ir

from tensorkiln.compiler.codegen.memory import Address
from tensorkiln.compiler.codegen.scalars import memory_type
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.stmt import Window

if TYPE_CHECKING:
    from tensorkiln.compiler.codegen.emit import KernelEmitter, Scope

I32 = ir.IntType(32)


def transpose(emitter: KernelEmitter, source: Window, result: Window, scope: Scope) -> None:
    """Transposes a square of vectors in registers.

    Blocks of half the size change places in each step, which takes one shuffle a vector: of a 2x2
    matrix of blocks A B / C D, the rows become A C and B D.
    """
    builder = emitter.builder
    size = source.buffer.shape[-1]
    kind = ir.VectorType(memory_type(source.buffer.dtype), size)
    align = source.buffer.dtype.bytes
    rows = [
        builder.load(_row(emitter, source, number, size, scope), align=align, typ=kind)
        for number in range(size)
    ]
    distance = size // 2
    while distance:
        first, second = _masks(size, distance)
        for number in range(size):
            if number & distance == 0:
                a, b = rows[number], rows[number + distance]
                rows[number] = builder.shuffle_vector(a, b, first)
                rows[number + distance] = builder.shuffle_vector(a, b, second)
        distance //= 2
    for number, row in enumerate(rows):
        builder.store(row, _row(emitter, result, number, size, scope), align=align)


def _row(emitter: KernelEmitter, window: Window, number: int, size: int, scope: Scope) -> ir.Value:
    index = (*window.index[:-2], ix.add(window.index[-2], ix.const(number)), window.index[-1])
    return Address(emitter, window.buffer, index, scope).pointer(size)


def _masks(size: int, distance: int) -> tuple[ir.Constant, ir.Constant]:
    """Which lanes of two vectors side by side make the first and the second of the new ones."""
    first = [lane + (size - distance if lane & distance else 0) for lane in range(size)]
    second = [lane + (size if lane & distance else distance) for lane in range(size)]
    mask = ir.VectorType(I32, size)
    return ir.Constant(mask, first), ir.Constant(mask, second)
