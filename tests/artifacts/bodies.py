"""Compiled models from hand-written LLVM IR, so that the runtime is tested without the compiler."""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np

from tensorkiln.compiler.codegen.target import emit_object, machine, optimize, target_named
from tensorkiln.runtime.compiled import Compiled, aligned_bytes
from tensorkiln.runtime.manifest import KernelInfo, Manifest, TensorSpec

# y = x * w + b: the product goes to the workspace in one parallel loop, the sum to y in another.
# A negative x[0] makes it return status 77.
AFFINE = """
%context = type {{ ptr, ptr, ptr }}
declare void @tk_parallel_for(ptr, ptr, i64, i32)

define internal void @{name}(ptr %context, i64 %begin, i64 %end) {{
entry:
  %a.at = getelementptr %context, ptr %context, i32 0, i32 0
  %b.at = getelementptr %context, ptr %context, i32 0, i32 1
  %c.at = getelementptr %context, ptr %context, i32 0, i32 2
  %a = load ptr, ptr %a.at
  %b = load ptr, ptr %b.at
  %c = load ptr, ptr %c.at
  br label %check
check:
  %i = phi i64 [ %begin, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %exit
body:
  %ai = getelementptr float, ptr %a, i64 %i
  %bi = getelementptr float, ptr %b, i64 %i
  %ci = getelementptr float, ptr %c, i64 %i
  %x = load float, ptr %ai
  %y = load float, ptr %bi
  %z = {op} float %x, %y
  store float %z, ptr %ci
  %next = add i64 %i, 1
  br label %check
exit:
  ret void
}}
"""

AFFINE_BODY = """
define i32 @tk_body(ptr %args, ptr %constants, ptr %workspace, i32 %threads) {{
entry:
  %context = alloca %context
  %b.at = getelementptr %context, ptr %context, i32 0, i32 1
  %c.at = getelementptr %context, ptr %context, i32 0, i32 2
  %x = load ptr, ptr %args
  %first = load float, ptr %x
  %bad = fcmp olt float %first, 0.0
  br i1 %bad, label %fail, label %go
fail:
  ret i32 77
go:
  %y.at = getelementptr ptr, ptr %args, i64 1
  %y = load ptr, ptr %y.at
  %bias = getelementptr float, ptr %constants, i64 {count}
  store ptr %x, ptr %context
  store ptr %constants, ptr %b.at
  store ptr %workspace, ptr %c.at
  call void @tk_parallel_for(ptr @multiply, ptr %context, i64 {count}, i32 %threads)
  store ptr %workspace, ptr %context
  store ptr %bias, ptr %b.at
  store ptr %y, ptr %c.at
  call void @tk_parallel_for(ptr @add, ptr %context, i64 {count}, i32 %threads)
  ret i32 0
}}
"""

# inputs x, state; outputs next (in state's buffer) = state + x, and total = sum of next, summed by
# thread-independent code
STATE_BODY = """
define i32 @tk_body(ptr %args, ptr %constants, ptr %workspace, i32 %threads) {
entry:
  %state.at = getelementptr ptr, ptr %args, i64 1
  %next.at = getelementptr ptr, ptr %args, i64 2
  %twice.at = getelementptr ptr, ptr %args, i64 3
  %x.ptr = load ptr, ptr %args
  %state.ptr = load ptr, ptr %state.at
  %next.ptr = load ptr, ptr %next.at
  %twice.ptr = load ptr, ptr %twice.at
  %x = load <4 x i64>, ptr %x.ptr, align 8
  %state = load <4 x i64>, ptr %state.ptr, align 8
  %next = add <4 x i64> %x, %state
  store <4 x i64> %next, ptr %next.ptr, align 8
  %twice = add <4 x i64> %x, %x
  store <4 x i64> %twice, ptr %twice.ptr, align 8
  ret i32 0
}
"""


def build(text: str, target_name: str = "host") -> bytes:
    """The object code of a module's text."""
    target = target_named(target_name)
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    module.verify()
    optimize(module, target)
    return emit_object(module, target)


def affine(count: int = 1000, target_name: str = "host", model: str = "affine") -> Compiled:
    """y = x * w + b on `count` floats, with w and b from `affine_weights`."""
    text = AFFINE.format(name="multiply", op="fmul")
    text += AFFINE.format(name="add", op="fadd").split("i32)\n", 1)[1]
    text += AFFINE_BODY.format(count=count)
    target = target_named(target_name)
    weights = np.concatenate(affine_weights(count))
    constants = aligned_bytes(weights.nbytes)
    constants[:] = weights.view(np.uint8)
    manifest = Manifest(
        model=model,
        inputs=(TensorSpec("x:0", (count,), "f32"),),
        outputs=(TensorSpec("dense/y", (count,), "f32"),),
        workspace_bytes=4 * count,
        constants_bytes=constants.nbytes,
        triple=target.triple,
        cpu=target.cpu,
        features=target.features,
        flops=2 * count,
        bytes=24 * count,
        peak_bytes=20 * count,
        kernels=(KernelInfo("multiply", ("dense",), count, 12 * count),),
        compiler="0.1.0",
    )
    return Compiled(manifest, build(text, target_name), constants)


def affine_weights(count: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return (
        generator.standard_normal(count, np.float32),
        generator.standard_normal(count, np.float32),
    )


def affine_expected(x: np.ndarray) -> np.ndarray:
    weights, bias = affine_weights(x.size)
    result: np.ndarray = x * weights + bias
    return result


def counter(target_name: str = "host") -> Compiled:
    """next = state + x in state's buffer, twice = x + x; four i64 each."""
    target = target_named(target_name)
    manifest = Manifest(
        model="counter",
        inputs=(TensorSpec("x", (2, 2), "i64"), TensorSpec("state", (2, 2), "i64")),
        outputs=(TensorSpec("next", (2, 2), "i64", alias=1), TensorSpec("twice", (2, 2), "i64")),
        workspace_bytes=0,
        constants_bytes=0,
        triple=target.triple,
        cpu=target.cpu,
        features=target.features,
        flops=8,
        bytes=128,
        peak_bytes=96,
        kernels=(),
        compiler="0.1.0",
    )
    return Compiled(manifest, build(STATE_BODY, target_name), aligned_bytes(0))
