"""Scalar operations of the kernel IR as LLVM instructions, on scalars and vectors alike.

Every function takes and returns LLVM values whose type is a scalar or a vector of lanes; the
semantics are those stated in compiler/kernel/expr.py.
"""

from __future__ import annotations

import functools

import numpy as np
from llvmlite import ir

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.runtime.errors import UnsupportedError

_FLOATS = {32: ir.FloatType(), 64: ir.DoubleType()}
_FLOAT_INTRINSICS = {
    "abs": "llvm.fabs",
    "sqrt": "llvm.sqrt",
    "floor": "llvm.floor",
    "ceil": "llvm.ceil",
    "trunc": "llvm.trunc",
    "round_even": "llvm.roundeven",
}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def register_type(dtype: DType) -> ir.Type:
    """The LLVM type of one value in a register: a bool is an i1, a narrow float its bits, and a
    number of fewer than 8 bits its byte."""
    if dtype.kind == "bool":
        return ir.IntType(1)
    if dtype.is_integer:
        return ir.IntType(8 * dtype.bytes)
    if dtype.bits < 32:
        return ir.IntType(8 * dtype.bytes)
    return _FLOATS[dtype.bits]


def memory_type(dtype: DType) -> ir.Type:
    """The LLVM type of one element in memory; a bool is a byte, 0 or 1."""
    return ir.IntType(8) if dtype.kind == "bool" else register_type(dtype)


def lanes_of(value: ir.Value) -> int:
    """The number of lanes of a vector value, 1 for a scalar."""
    return value.type.count if isinstance(value.type, ir.VectorType) else 1


def widen(kind: ir.Type, lanes: int) -> ir.Type:
    """`kind`, or a vector of `lanes` of it."""
    return ir.VectorType(kind, lanes) if lanes > 1 else kind


def splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A vector with `value` in every lane; a vector is returned as it is."""
    if lanes == 1 or lanes_of(value) == lanes:
        return value
    if isinstance(value, ir.Constant):
        return splat_constant(value, lanes)
    undefined = splat_constant(ir.Constant(value.type, ir.Undefined), lanes)
    first = builder.insert_element(undefined, value, _FIRST)
    return builder.shuffle_vector(first, undefined, splat_constant(_FIRST, lanes))


_FIRST = ir.Constant(ir.IntType(32), 0)


@functools.lru_cache(1 << 14)
def index_constant(value: int) -> ir.Constant:
    """An i64, made once: constants have no module, and llvmlite is slow in making and writing them."""
    return ir.Constant(ir.IntType(64), value)


@functools.lru_cache(1 << 14)
def lane_numbers(lanes: int, stride: int = 1) -> ir.Constant:
    """The vector of i64 0, stride, 2 * stride, ..."""
    kind = ir.VectorType(ir.IntType(64), lanes)
    return ir.Constant(kind, [stride * lane for lane in range(lanes)])


@functools.lru_cache(1 << 14)
def splat_constant(value: ir.Constant, lanes: int) -> SplatConstant:
    """`SplatConstant`, made once for equal values (llvmlite compares them by type and text)."""
    return SplatConstant(value, lanes)


class SplatConstant(ir.Constant):  # type: ignore[misc]
    """The vector of `lanes` times `value`, in a text that does not grow with the lanes."""

    def __init__(self, value: ir.Constant, lanes: int) -> None:
        super().__init__(ir.VectorType(value.type, lanes), value)
        self._text = f"splat ({value})"

    def _get_reference(self) -> str:
        return self._text


def unify(builder: ir.IRBuilder, *values: ir.Value) -> tuple[ir.Value, ...]:
    """The values with scalars splat to the lanes of the vectors among them."""
    lanes = max(map(lanes_of, values))
    return tuple(splat(builder, value, lanes) for value in values)


def literal(dtype: DType, value: bool | int | float, lanes: int = 1) -> ir.Constant:
    """A constant of `dtype` in every lane."""
    # As a text too, since 0.0 equals -0.0 and False.
    return _literal(dtype, repr(value), lanes, value)


@functools.lru_cache(1 << 14)
def _literal(dtype: DType, _: str, lanes: int, value: bool | int | float) -> ir.Constant:
    if dtype.kind == "bool":
        scalar = ir.Constant(ir.IntType(1), int(bool(value)))
    elif dtype.is_integer:
        number = int(value) if dtype.bits >= 8 else int(value) & ((1 << dtype.bits) - 1)
        scalar = ir.Constant(register_type(dtype), number)
    elif dtype.bits < 32:
        with np.errstate(over="ignore", invalid="ignore"):
            bits = np.array(value).astype(dtype.numpy).view(f"u{dtype.bytes}")
        scalar = ir.Constant(register_type(dtype), int(bits))
    else:
        scalar = ir.Constant(register_type(dtype), float(value))
    return splat_constant(scalar, lanes) if lanes > 1 else scalar


def intrinsic(builder: ir.IRBuilder, name: str, args: list[ir.Value], result: ir.Type) -> ir.Value:
    """A call of the intrinsic `name`, overloaded on its result's type."""
    module = builder.module
    mangled = f"{name}.{mangle(result)}"
    function = module.globals.get(mangled)
    if function is None:
        kind = ir.FunctionType(result, [a.type for a in args])
        function = ir.Function(module, kind, mangled)
    return builder.call(function, args)


def mangle(kind: ir.Type) -> str:
    """How LLVM writes a type in the name of an overloaded intrinsic."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{mangle(kind.element)}"
    if isinstance(kind, ir.IntType):
        return f"i{kind.width}"
    names = {ir.FloatType(): "f32", ir.DoubleType(): "f64", ir.HalfType(): "f16"}
    return names[kind]


def unary(builder: ir.IRBuilder, op: str, dtype: DType, x: ir.Value) -> ir.Value:
    """A unary op on `dtype`."""
    lanes = lanes_of(x)
    match op:
        case "neg":
            return builder.fneg(x) if dtype.is_float else builder.neg(x)
        case "not":
            return builder.not_(x)
        case "abs" if dtype.kind == "uint":
            return x
        case "abs" if dtype.kind == "int":
            negative = builder.icmp_signed("<", x, literal(dtype, 0, lanes))
            return builder.select(negative, builder.neg(x), x)
        case "is_nan":
            return builder.fcmp_unordered("uno", x, x)
        case "is_finite":
            magnitude = intrinsic(builder, "llvm.fabs", [x], x.type)
            return builder.fcmp_ordered("<", magnitude, literal(dtype, float("inf"), lanes))
        case "popcount":
            return intrinsic(builder, "llvm.ctpop", [x], x.type)
        case "count_leading_zeros":
            flag = ir.Constant(ir.IntType(1), 0)
            return intrinsic(builder, "llvm.ctlz", [x, flag], x.type)
        case _ if op in _FLOAT_INTRINSICS and dtype.is_float:
            return intrinsic(builder, _FLOAT_INTRINSICS[op], [x], x.type)
    raise UnsupportedError(f"the emitter has no {op} of {dtype}: expand_math must run before it")


def binary(builder: ir.IRBuilder, op: str, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
    """A binary op on two values of `dtype`."""
    a, b = unify(builder, a, b)
    if op in _COMPARE:
        return _compare(builder, op, dtype, a, b)
    if dtype.is_float:
        return _float_binary(builder, op, dtype, a, b)
    return _integer_binary(builder, op, dtype, a, b)


def _compare(builder: ir.IRBuilder, op: str, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
    sign = _COMPARE[op]
    if dtype.is_float:
        if op == "ne":
            return builder.fcmp_unordered(sign, a, b)
        return builder.fcmp_ordered(sign, a, b)
    if dtype.kind == "int":
        return builder.icmp_signed(sign, a, b)
    return builder.icmp_unsigned(sign, a, b)


def _float_binary(
    builder: ir.IRBuilder, op: str, dtype: DType, a: ir.Value, b: ir.Value
) -> ir.Value:
    match op:
        case "add":
            return builder.fadd(a, b)
        case "sub":
            return builder.fsub(a, b)
        case "mul":
            return builder.fmul(a, b)
        case "div":
            return builder.fdiv(a, b)
        case "rem":
            return builder.frem(a, b)
        case "min" | "max":
            return _float_extreme(builder, op, a, b)
    raise UnsupportedError(f"the emitter has no {op} of {dtype}: expand_math must run before it")


def _float_extreme(builder: ir.IRBuilder, op: str, a: ir.Value, b: ir.Value) -> ir.Value:
    # With a constant (never NaN) on the left, one ordered compare and a select give NaN for a
    # NaN on the right: that is a single min or max instruction on x86.
    if isinstance(b, ir.Constant):
        a, b = b, a
    if isinstance(a, ir.Constant):
        keep = builder.fcmp_ordered("<" if op == "min" else ">", a, b)
        return builder.select(keep, a, b)
    # b if it is beyond a, else a, is one instruction on x86 and keeps a NaN in a; b's is put back.
    beyond = builder.fcmp_ordered("<" if op == "min" else ">", b, a)
    picked = builder.select(beyond, b, a)
    return builder.select(builder.fcmp_unordered("uno", b, b), b, picked)


def _integer_binary(
    builder: ir.IRBuilder, op: str, dtype: DType, a: ir.Value, b: ir.Value
) -> ir.Value:
    signed = dtype.kind == "int"
    match op:
        case "add":
            return builder.add(a, b)
        case "sub":
            return builder.sub(a, b)
        case "mul":
            return builder.mul(a, b)
        case "and":
            return builder.and_(a, b)
        case "or":
            return builder.or_(a, b)
        case "xor":
            return builder.xor(a, b)
        case "min" | "max":
            sign = "<" if op == "min" else ">"
            keep = builder.icmp_signed(sign, a, b) if signed else builder.icmp_unsigned(sign, a, b)
            return builder.select(keep, a, b)
        case "pow":
            return _integer_power(builder, dtype, a, b)
        case "div" | "rem":
            return _divide(builder, op, dtype, a, b)
        case "floordiv" | "mod":
            return _floor_divide(builder, op, a, b)
        case "shl" | "shr_logical" | "shr_arithmetic":
            return _shift(builder, op, dtype, a, b)
    raise UnsupportedError(f"the emitter has no {op} of {dtype}")


def _integer_power(builder: ir.IRBuilder, dtype: DType, x: ir.Value, y: ir.Value) -> ir.Value:
    """x**y by squaring, wrapping, in a loop that ends with the highest bit of any lane's exponent.

    For y < 0 it is the quotient 1 // x**|y|: 0 unless x is 1 or -1.
    """
    lanes, kind = lanes_of(x), x.type
    zero, one = literal(dtype, 0, lanes), literal(dtype, 1, lanes)
    before = builder.block
    body, after = builder.append_basic_block("power.loop"), builder.append_basic_block("power.end")
    builder.branch(body)
    builder.position_at_end(body)
    result, power, rest = builder.phi(kind), builder.phi(kind), builder.phi(kind)
    odd = builder.icmp_unsigned("!=", builder.and_(rest, one), zero)
    following = (
        builder.select(odd, builder.mul(result, power), result),
        builder.mul(power, power),
        builder.lshr(rest, one),
    )
    for phi, start, value in zip((result, power, rest), (one, x, y), following, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, body)
    left = following[2]
    if lanes > 1:
        left = _reduce_or(builder, left)
    builder.cbranch(builder.icmp_unsigned("!=", left, literal(dtype, 0)), body, after)
    builder.position_at_end(after)
    if dtype.kind == "uint":
        return following[0]
    minus = literal(dtype, -1, lanes)
    unit = builder.or_(builder.icmp_signed("==", x, one), builder.icmp_signed("==", x, minus))
    is_odd = builder.icmp_unsigned("!=", builder.and_(y, one), zero)
    quotient = builder.select(unit, builder.select(is_odd, x, one), zero)
    return builder.select(builder.icmp_signed("<", y, zero), quotient, following[0])


def _reduce_or(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """The bits that any lane has."""
    name = f"llvm.vector.reduce.or.{mangle(x.type)}"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(x.type.element, [x.type]), name)
    return builder.call(function, [x])


def _divide(builder: ir.IRBuilder, op: str, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
    # Total: x / 0 = -1 (all ones), x rem 0 = x, MIN / -1 = MIN; the machine instruction traps.
    lanes = lanes_of(a)
    zero = builder.icmp_unsigned("==", b, literal(dtype, 0, lanes))
    unsafe = zero
    if dtype.kind == "int":
        lowest = literal(dtype, -(1 << (dtype.bits - 1)), lanes)
        overflow = builder.and_(
            builder.icmp_signed("==", a, lowest),
            builder.icmp_signed("==", b, literal(dtype, -1, lanes)),
        )
        unsafe = builder.or_(zero, overflow)
    safe = builder.select(unsafe, literal(dtype, 1, lanes), b)
    if op == "div":
        quotient = builder.sdiv(a, safe) if dtype.kind == "int" else builder.udiv(a, safe)
        ones = literal(dtype, -1 if dtype.kind == "int" else (1 << dtype.bits) - 1, lanes)
        return builder.select(zero, ones, quotient)
    remainder = builder.srem(a, safe) if dtype.kind == "int" else builder.urem(a, safe)
    return builder.select(zero, a, remainder)


def divide_index(builder: ir.IRBuilder, op: str, a: ir.Value, b: ir.Value) -> ir.Value:
    """floordiv or mod of an index that is not negative."""
    a, b = unify(builder, a, b)
    return builder.udiv(a, b) if op == "floordiv" else builder.urem(a, b)


def _floor_divide(builder: ir.IRBuilder, op: str, a: ir.Value, b: ir.Value) -> ir.Value:
    # floor(a / b) for b > 0: truncation rounds up only where a is negative and not a multiple.
    zero = splat(
        builder, ir.Constant(a.type if lanes_of(a) == 1 else a.type.element, 0), lanes_of(a)
    )
    remainder = builder.srem(a, b)
    negative = builder.icmp_signed("<", remainder, zero)
    if op == "mod":
        return builder.select(negative, builder.add(remainder, b), remainder)
    quotient = builder.sdiv(a, b)
    return builder.add(quotient, builder.sext(negative, a.type))


def _shift(builder: ir.IRBuilder, op: str, dtype: DType, a: ir.Value, b: ir.Value) -> ir.Value:
    lanes = lanes_of(a)
    top = literal(dtype, dtype.bits - 1, lanes)
    in_range = builder.icmp_unsigned("<=", b, top)
    amount = builder.select(in_range, b, top)
    if op == "shr_arithmetic":
        return builder.ashr(a, amount)
    shifted = builder.shl(a, amount) if op == "shl" else builder.lshr(a, amount)
    return builder.select(in_range, shifted, literal(dtype, 0, lanes))
