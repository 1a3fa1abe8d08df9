"""Conversions between dtypes, as LLVM instructions on scalars or vectors."""

from __future__ import annotations

from llvmlite import ir

from tensorkiln.compiler.codegen.scalars import (
    SplatConstant,
    lanes_of,
    literal,
    mangle,
    register_type,
    widen,
)
from tensorkiln.compiler.ir.dtypes import F16, F32, DType
from tensorkiln.runtime.errors import UnsupportedError


def convert(builder: ir.IRBuilder, x: ir.Value, source: DType, target: DType) -> ir.Value:
    """The value of `x` in another dtype (see Convert in compiler/kernel/expr.py)."""
    if source == target:
        return x
    lanes = lanes_of(x)
    kind = widen(register_type(target), lanes)
    if F16 in (source, target) and source.is_float and target.is_float:
        return _convert_half(builder, x, source, target)
    if target.kind == "bool":
        zero = literal(source, 0, lanes)
        if source.is_float:
            return builder.fcmp_unordered("!=", x, zero)
        return builder.icmp_unsigned("!=", x, zero)
    if source.is_float and target.is_float:
        return builder.fpext(x, kind) if target.bits > source.bits else builder.fptrunc(x, kind)
    if source.is_float:
        if lanes > 1:
            return _clamped(builder, x, source, target)
        name = "llvm.fptosi.sat" if target.kind == "int" else "llvm.fptoui.sat"
        return _saturating(builder, name, x, kind)
    if target.is_float:
        return builder.sitofp(x, kind) if source.kind == "int" else builder.uitofp(x, kind)
    if source.kind == "bool" or target.bits > source.bits:
        return builder.sext(x, kind) if source.kind == "int" else builder.zext(x, kind)
    return builder.trunc(x, kind) if target.bits < source.bits else x


def _convert_half(builder: ir.IRBuilder, x: ir.Value, source: DType, target: DType) -> ir.Value:
    half = widen(ir.HalfType(), lanes_of(x))
    if (source, target) == (F16, F32):
        return builder.fpext(builder.bitcast(x, half), widen(ir.FloatType(), lanes_of(x)))
    if (source, target) == (F32, F16):
        bits = widen(ir.IntType(16), lanes_of(x))
        return builder.bitcast(builder.fptrunc(x, half), bits)
    raise UnsupportedError(f"{source} to {target}: expand_narrow must run before the emitter")


def _clamped(builder: ir.IRBuilder, x: ir.Value, source: DType, target: DType) -> ir.Value:
    """A vector of floats truncated to integers, saturated; NaN gives 0.

    LLVM's own saturating conversion of vectors is one of each lane in turn.  A clamp to numbers that
    both dtypes hold leaves those above the largest such number, which is below the largest integer.
    """
    lanes = lanes_of(x)
    bits, signed = 8 * target.bytes, target.kind == "int"
    lowest = -(1 << (bits - 1)) if signed else 0
    highest = (1 << (bits - signed)) - 1
    digits = 24 if source == F32 else 53
    largest = highest if bits <= digits else highest + 1 - (1 << (bits - signed - digits))
    low, high = (literal(source, float(value), lanes) for value in (lowest, largest))
    known = x
    if signed:  # else it becomes the lowest number, which is 0
        known = builder.select(builder.fcmp_ordered("==", x, x), x, literal(source, 0.0, lanes))
    known = builder.select(builder.fcmp_ordered(">", known, low), known, low)
    inside = builder.select(builder.fcmp_ordered("<", known, high), known, high)
    wide = ir.VectorType(ir.IntType(max(bits, 32)), lanes)
    found = builder.fptosi(inside, wide) if signed or bits < 32 else builder.fptoui(inside, wide)
    if largest != highest:
        most = SplatConstant(ir.Constant(wide.element, highest), lanes)
        found = builder.select(builder.fcmp_ordered(">", known, high), most, found)
    return found if bits >= 32 else builder.trunc(found, ir.VectorType(ir.IntType(bits), lanes))


def _saturating(builder: ir.IRBuilder, name: str, x: ir.Value, kind: ir.Type) -> ir.Value:
    mangled = f"{name}.{mangle(kind)}.{mangle(x.type)}"
    function = builder.module.globals.get(mangled)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(kind, [x.type]), mangled)
    return builder.call(function, [x])


def bitcast(builder: ir.IRBuilder, x: ir.Value, target: DType) -> ir.Value:
    """The bits of `x` as another dtype of the same width."""
    return builder.bitcast(x, widen(register_type(target), lanes_of(x)))
