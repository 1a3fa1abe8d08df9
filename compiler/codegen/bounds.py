"""Checks of every load and store against the bounds of its buffer, for a debug mode.

Checked code calls `void tk_out_of_bounds(ptr text, i64 offset)` where an access would lie outside
of its buffer; `text` names kernel, access and buffer, `offset` is in elements. The access then goes
to a scratch place, so the code runs to its end and nothing else is harmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llvmlite import ir

from tensorkiln.compiler.codegen.scalars import lanes_of, splat

if TYPE_CHECKING:
    from tensorkiln.compiler.codegen.memory import Address

HANDLER = "tk_out_of_bounds"
_I64, _POINTER = ir.IntType(64), ir.PointerType()
_SCRATCH_BYTES = 1024  # more than any one access


class Bounds:
    """The checks of one kernel's functions."""

    def __init__(self, module: ir.Module, kernel: str) -> None:
        self._module, self._kernel = module, kernel
        self._texts: dict[str, ir.GlobalVariable] = {}
        self._scratch: dict[str, ir.Value] = {}

    def one(
        self, address: Address, pointer: ir.Value, lanes: int, mask: ir.Value | None
    ) -> ir.Value:
        """`pointer`, of `lanes` elements in a row, or the scratch place if one is outside."""
        builder = address.emitter.builder
        offset = self._offset(address)
        if lanes == 1:
            inside = self._inside(builder, offset, address)
            self._report(address, builder.not_(inside), offset)
            return builder.select(inside, pointer, self._place(builder))
        steps = ir.Constant(ir.VectorType(_I64, lanes), list(range(lanes)))
        offsets = builder.add(splat(builder, offset, lanes), steps)
        bad = self._bad(builder, offsets, address, mask)
        self._report(address, bad, offset)
        return builder.select(bad, self._place(builder), pointer)

    def many(
        self, address: Address, pointers: ir.Value, offsets: ir.Value, mask: ir.Value | None
    ) -> ir.Value:
        """`pointers`, one a lane at `offsets` from the uniform part, or the scratch place."""
        builder = address.emitter.builder
        lanes = lanes_of(offsets)
        base = self._offset(address)
        total = builder.add(splat(builder, base, lanes), offsets)
        bad = self._bad(builder, total, address, mask)
        self._report(address, bad, base)
        scratch = ir.Constant(ir.VectorType(_POINTER, lanes), ir.Undefined)
        for lane in range(lanes):
            place = ir.Constant(ir.IntType(32), lane)
            scratch = builder.insert_element(scratch, self._place(builder), place)
            scratch.type = ir.VectorType(_POINTER, lanes)
        chosen = builder.select(bad, scratch, pointers)
        chosen.type = pointers.type
        return chosen

    def _bad(
        self, builder: ir.IRBuilder, offsets: ir.Value, address: Address, mask: ir.Value | None
    ) -> ir.Value:
        """True if a lane that the mask lets through is outside."""
        lanes = lanes_of(offsets)
        inside = self._inside(builder, offsets, address)
        if mask is not None:
            inside = builder.or_(inside, builder.not_(mask))
        bits = builder.bitcast(inside, ir.IntType(lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, (1 << lanes) - 1))

    def _inside(self, builder: ir.IRBuilder, offset: ir.Value, address: Address) -> ir.Value:
        size = splat(builder, ir.Constant(_I64, address.buffer.elements), lanes_of(offset))
        return builder.icmp_unsigned("<", offset, size)  # a negative offset is a large one

    def _offset(self, address: Address) -> ir.Value:
        """The uniform part of the flat offset, in elements."""
        builder = address.emitter.builder
        total: ir.Value = ir.Constant(_I64, address.constant)
        for value, coefficient in address.uniform:
            total = builder.add(total, builder.mul(value, ir.Constant(_I64, coefficient)))
        return total

    def _report(self, address: Address, bad: ir.Value, offset: ir.Value) -> None:
        builder = address.emitter.builder
        kind = ir.FunctionType(ir.VoidType(), [_POINTER, _I64])
        handler = self._module.globals.get(HANDLER) or ir.Function(self._module, kind, HANDLER)
        with builder.if_then(bad, likely=False):
            builder.call(handler, [self._text(address), offset])

    def _text(self, address: Address) -> ir.Value:
        buffer = address.buffer
        shape = ",".join(map(str, buffer.shape))
        text = f"{self._kernel}: {buffer.name}: {buffer.dtype}[{shape}]"
        if text not in self._texts:
            data = bytearray(text.encode() + b"\0")
            kind = ir.ArrayType(ir.IntType(8), len(data))
            name = self._module.get_unique_name("bounds.text")
            variable = ir.GlobalVariable(self._module, kind, name)
            variable.linkage, variable.global_constant = "private", True
            variable.initializer = ir.Constant(kind, data)
            self._texts[text] = variable
        zero = ir.Constant(_I64, 0)
        pointer = address.emitter.builder.gep(self._texts[text], [zero], source_etype=ir.IntType(8))
        pointer.type = _POINTER
        return pointer

    def _place(self, builder: ir.IRBuilder) -> ir.Value:
        """The scratch place of the function that is being emitted."""
        name = builder.function.name
        if name not in self._scratch:
            with builder.goto_entry_block():
                place = builder.alloca(ir.ArrayType(ir.IntType(8), _SCRATCH_BYTES))
            place.align = 64
            place.type = _POINTER
            self._scratch[name] = place
        return self._scratch[name]
