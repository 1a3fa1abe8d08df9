"""What can be told of values from the ops that made them; every answer is a proof or "no"."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np

from tensorkiln.compiler.ir.dtypes import F8E8M0FNU, DType, dtype_of
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.passes.rewriting import Rewriter

# Stored bits of the significand and of the exponent.
_SIGNIFICAND = {
    "f4e2m1fn": 1, "f6e2m3fn": 3, "f6e3m2fn": 2, "f8e4m3fn": 3, "f8e5m2": 2, "f8e4m3fnuz": 3,
    "f8e5m2fnuz": 2, "f8e4m3": 3, "f8e3m4": 4, "f8e4m3b11fnuz": 3, "f8e8m0fnu": 0, "f16": 10,
    "bf16": 7, "f32": 23, "f64": 52,
}  # fmt: skip
_EXPONENT = {
    "f4e2m1fn": 2, "f6e2m3fn": 2, "f6e3m2fn": 3, "f8e4m3fn": 4, "f8e5m2": 5, "f8e4m3fnuz": 4,
    "f8e5m2fnuz": 5, "f8e4m3": 4, "f8e3m4": 3, "f8e4m3b11fnuz": 4, "f8e8m0fnu": 8, "f16": 5,
    "bf16": 8, "f32": 8, "f64": 11,
}  # fmt: skip


def is_number(array: Array | None, number: float) -> bool:
    """True if `array` is the 0-d number given, the sign of a zero included."""
    if array is None or array.dtype == np.bool_:
        return False
    value = array.item()
    return bool(value == number) and math.copysign(1, value) == math.copysign(1, number)


def is_lossless(source: DType, target: DType) -> bool:
    """True if every number of `source` (NaN, infinities and -0 included) is one of `target`."""
    if source == target:
        return True
    if source.kind == "bool":
        return target != F8E8M0FNU  # which has no 0
    if target.kind == "bool":
        return False
    if source.is_float:
        # The 8-bit floats differ in ranges and special numbers.
        return (
            target.is_float
            and not target.is_storage
            and _SIGNIFICAND[source.name] <= _SIGNIFICAND[target.name]
            and _EXPONENT[source.name] <= _EXPONENT[target.name]
        )
    magnitude = source.bits - (source.kind == "int")
    if target.is_float:
        # An f16 overflows at 65520, above every 11-bit integer; the narrowest floats end sooner.
        farthest = (1 << magnitude) - (source.kind == "uint")
        exact = magnitude <= _SIGNIFICAND[target.name] + 1
        greatest = float(ml_dtypes.finfo(target.numpy).max)  # type: ignore[no-untyped-call]
        return exact and target != F8E8M0FNU and farthest <= greatest
    if source.kind == "int" and target.kind == "uint":
        return False
    return magnitude <= target.bits - (target.kind == "int")


def exact_reciprocal(array: Array | None) -> Array | None:
    """`1 / array` for a float power of two whose reciprocal is a normal number, else None."""
    if array is None or array.dtype.kind in "biuc" or dtype_of(array.dtype).is_storage:
        return None
    mantissa, exponent = math.frexp(float(array))
    if abs(mantissa) != 0.5:
        return None
    bits = {2: 5, 4: 8, 8: 11}[array.dtype.itemsize]
    if array.dtype.kind != "f":  # bf16, to numpy a dtype of another kind
        bits = 8
    limit = 2 ** (bits - 1) - 2
    if not -limit <= 1 - exponent <= limit:
        return None
    return np.asarray(1.0 / float(array)).astype(array.dtype)


def is_nonnegative(rewriter: Rewriter, value: Value, depth: int = 6) -> bool:
    """True if no element is below zero or -0.0 (NaN may occur); looks `depth` ops back."""
    if value.dtype.kind in ("bool", "uint"):
        return True
    op = rewriter.producer(value)
    if op is None or depth == 0 or not value.dtype.is_float:
        return False
    if op.name == "constant":
        data = op.array("value").astype(np.float64)
        return not bool(np.any(np.signbit(data) & ~np.isnan(data)))

    def nonnegative(operand: Value) -> bool:
        return is_nonnegative(rewriter, operand, depth - 1)

    match op.name:
        case "abs" | "exponential" | "logistic":
            return True
        case "multiply" if op.operands[0] is op.operands[1]:
            return True
        case "add" | "multiply" | "divide":
            return all(map(nonnegative, op.operands))
        case "reshape" | "transpose" | "broadcast_in_dim" | "slice" | "sqrt" | "convert":
            return nonnegative(op.operands[0])
        case _:
            return False
