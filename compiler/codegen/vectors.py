"""Values for test vectors, in numpy and as LLVM IR, and how the IR compares what came out.

Inputs come from a counter: element i of input k is the hash splitmix64(seed + k * 2^40 + i)
(S. Vigna, xoshiro/xoshiro256**; finalizer of D. Stafford) mapped to few values that every dtype has
exactly, so nothing but the seed is stored. Outputs are compared within a tolerance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tensorkiln.runtime.errors import UnsupportedError
from tensorkiln.runtime.manifest import TensorSpec

_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_STREAM = 1 << 40
# dtype -> its number in the IR below
_KINDS = {
    "bool": 0, "i8": 1, "u8": 1, "i16": 2, "u16": 2, "i32": 3, "u32": 3, "i64": 4, "u64": 4,
    "f16": 5, "bf16": 6, "f32": 7, "f64": 8,
}  # fmt: skip


def vector_input(
    spec: TensorSpec, position: int, seed: int, limit: int = 10
) -> NDArray[np.generic]:
    """What the self-test gives to the input number `position`: floats from -1 to 127/128 in steps
    of 1/128, integers from 0 to `limit` - 1, bools."""
    count = int(np.prod(spec.shape))
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GAMMA)
        z += np.uint64(stream_of(position, seed))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
        z ^= z >> np.uint64(31)
    if spec.dtype == "bool":
        flat: NDArray[np.generic] = (z & np.uint64(1)).astype(np.bool_)
    elif kind_of(spec) < 5:
        flat = (z % np.uint64(limit)).astype(spec.numpy)
    else:
        flat = ((z & np.uint64(255)).astype(np.float32) / 128 - 1).astype(spec.numpy)
    return flat.reshape(spec.shape)


def stream_of(position: int, seed: int) -> int:
    """The counter of the input number `position`, as an unsigned 64-bit number."""
    return (seed + position * _STREAM) % 2**64


def kind_of(spec: TensorSpec) -> int:
    """The number of the tensor's dtype for the IR; UnsupportedError for those without."""
    if spec.dtype not in _KINDS:
        raise UnsupportedError(
            f"tensor {spec.name!r}: test vectors cannot be made for dtype {spec.dtype}"
        )
    return _KINDS[spec.dtype]


# f16 <-> float by the scaling of exponents: 2^112 is 0x77800000, 2^-112 is 0x07800000.
TEST_VALUES_TEXT = f"""
define internal i64 @test_hash(i64 %stream, i64 %index) {{
  %one = add i64 %index, 1
  %step = mul i64 %one, {_GAMMA}
  %start = add i64 %stream, %step
  %a = lshr i64 %start, 30
  %b = xor i64 %start, %a
  %c = mul i64 %b, {_FIRST}
  %d = lshr i64 %c, 27
  %e = xor i64 %c, %d
  %f = mul i64 %e, {_SECOND}
  %g = lshr i64 %f, 31
  %h = xor i64 %f, %g
  ret i64 %h
}}

define internal void @test_fill(ptr %to, i64 %count, i32 %kind, i64 %stream, i64 %limit) {{
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %after, %stored ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %make, label %exit
make:
  %bits = call i64 @test_hash(i64 %stream, i64 %i)
  %digit = urem i64 %bits, %limit
  %low = and i64 %bits, 255
  %whole = uitofp i64 %low to float
  %scaled = fmul float %whole, 0x3F80000000000000
  %value = fsub float %scaled, 1.0
  %value.bits = bitcast float %value to i32
  switch i32 %kind, label %as.f64 [ i32 0, label %as.bool i32 1, label %as.i8 i32 2, label %as.i16
    i32 3, label %as.i32 i32 4, label %as.i64 i32 5, label %as.f16 i32 6, label %as.bf16
    i32 7, label %as.f32 ]
as.bool:
  %p0 = getelementptr i8, ptr %to, i64 %i
  %v0 = trunc i64 %bits to i8
  %w0 = and i8 %v0, 1
  store i8 %w0, ptr %p0
  br label %stored
as.i8:
  %p1 = getelementptr i8, ptr %to, i64 %i
  %v1 = trunc i64 %digit to i8
  store i8 %v1, ptr %p1
  br label %stored
as.i16:
  %p2 = getelementptr i16, ptr %to, i64 %i
  %v2 = trunc i64 %digit to i16
  store i16 %v2, ptr %p2
  br label %stored
as.i32:
  %p3 = getelementptr i32, ptr %to, i64 %i
  %v3 = trunc i64 %digit to i32
  store i32 %v3, ptr %p3
  br label %stored
as.i64:
  %p4 = getelementptr i64, ptr %to, i64 %i
  store i64 %digit, ptr %p4
  br label %stored
as.f16:
  %p5 = getelementptr i16, ptr %to, i64 %i
  %factor = bitcast i32 125829120 to float
  %small = fmul float %value, %factor
  %small.bits = bitcast float %small to i32
  %size = and i32 %small.bits, 2147483647
  %half = lshr i32 %size, 13
  %sign = and i32 %value.bits, -2147483648
  %sign.half = lshr i32 %sign, 16
  %both = or i32 %half, %sign.half
  %v5 = trunc i32 %both to i16
  store i16 %v5, ptr %p5
  br label %stored
as.bf16:
  %p6 = getelementptr i16, ptr %to, i64 %i
  %upper = lshr i32 %value.bits, 16
  %v6 = trunc i32 %upper to i16
  store i16 %v6, ptr %p6
  br label %stored
as.f32:
  %p7 = getelementptr float, ptr %to, i64 %i
  store float %value, ptr %p7
  br label %stored
as.f64:
  %p8 = getelementptr double, ptr %to, i64 %i
  %v8 = fpext float %value to double
  store double %v8, ptr %p8
  br label %stored
stored:
  %after = add i64 %i, 1
  br label %next
exit:
  ret void
}}

define internal double @test_value(ptr %from, i64 %i, i32 %kind) {{
  switch i32 %kind, label %as.f64 [ i32 0, label %as.i8 i32 1, label %as.i8 i32 2, label %as.i16
    i32 3, label %as.i32 i32 4, label %as.i64 i32 5, label %as.f16 i32 6, label %as.bf16
    i32 7, label %as.f32 ]
as.i8:
  %p1 = getelementptr i8, ptr %from, i64 %i
  %v1 = load i8, ptr %p1
  %r1 = sitofp i8 %v1 to double
  ret double %r1
as.i16:
  %p2 = getelementptr i16, ptr %from, i64 %i
  %v2 = load i16, ptr %p2
  %r2 = sitofp i16 %v2 to double
  ret double %r2
as.i32:
  %p3 = getelementptr i32, ptr %from, i64 %i
  %v3 = load i32, ptr %p3
  %r3 = sitofp i32 %v3 to double
  ret double %r3
as.i64:
  %p4 = getelementptr i64, ptr %from, i64 %i
  %v4 = load i64, ptr %p4
  %r4 = sitofp i64 %v4 to double
  ret double %r4
as.f16:
  %p5 = getelementptr i16, ptr %from, i64 %i
  %h5 = load i16, ptr %p5
  %w5 = zext i16 %h5 to i32
  %m5 = and i32 %w5, 32767
  %s5 = shl i32 %m5, 13
  %f5 = bitcast i32 %s5 to float
  %factor = bitcast i32 2004877312 to float
  %g5 = fmul float %f5, %factor
  %e5 = and i32 %w5, 31744
  %special = icmp eq i32 %e5, 31744
  %top5 = or i32 %s5, 2139095040
  %top = bitcast i32 %top5 to float
  %size5 = select i1 %special, float %top, float %g5
  %n5 = and i32 %w5, 32768
  %negative = icmp ne i32 %n5, 0
  %minus = fneg float %size5
  %v5 = select i1 %negative, float %minus, float %size5
  %r5 = fpext float %v5 to double
  ret double %r5
as.bf16:
  %p6 = getelementptr i16, ptr %from, i64 %i
  %h6 = load i16, ptr %p6
  %w6 = zext i16 %h6 to i32
  %s6 = shl i32 %w6, 16
  %v6 = bitcast i32 %s6 to float
  %r6 = fpext float %v6 to double
  ret double %r6
as.f32:
  %p7 = getelementptr float, ptr %from, i64 %i
  %v7 = load float, ptr %p7
  %r7 = fpext float %v7 to double
  ret double %r7
as.f64:
  %p8 = getelementptr double, ptr %from, i64 %i
  %v8 = load double, ptr %p8
  ret double %v8
}}

define internal i1 @test_differs(ptr %from, ptr %samples, i64 %count, i32 %kind, double %allowed) {{
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %after, %good ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %compare, label %exit
compare:
  %row = getelementptr {{ i64, double }}, ptr %samples, i64 %i
  %at = load i64, ptr %row
  %wanted.at = getelementptr {{ i64, double }}, ptr %row, i32 0, i32 1
  %wanted = load double, ptr %wanted.at
  %got = call double @test_value(ptr %from, i64 %at, i32 %kind)
  %equal = fcmp oeq double %got, %wanted
  %got.nan = fcmp uno double %got, %got
  %wanted.nan = fcmp uno double %wanted, %wanted
  %nans = and i1 %got.nan, %wanted.nan
  %difference = fsub double %got, %wanted
  %size = call double @llvm.fabs.f64(double %difference)
  %near = fcmp ole double %size, %allowed
  %same = or i1 %equal, %nans
  %fine = or i1 %same, %near
  br i1 %fine, label %good, label %exit
good:
  %after = add i64 %i, 1
  br label %next
exit:
  %differs = phi i1 [ false, %next ], [ true, %compare ]
  ret i1 %differs
}}
declare double @llvm.fabs.f64(double)
"""
