"""Kernels that show what a machine can do at best: multiply-adds, copies and reads.

Their times are what benchmarks compare others with, so they come through the same code generator,
thread pool and loader as every model.
"""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np

from tensorkiln.compiler.codegen.target import emit_object
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.compiled import Compiled
from tensorkiln.runtime.manifest import Manifest, TensorSpec

# Twelve chains hide the latency of two 4-cycle units and fit into 16 registers with two operands.
CHAINS = 12
_STEPS = 1 << 14
_TASKS = 32
CHUNK = 1 << 14  # floats that a task copies or reads at once
_UNROLL = 4
_SUMS = 8


def fma_ceiling(target: Target) -> Compiled:
    """Chains of multiply-adds on f32 vectors in registers; the manifest tells the flops."""
    lanes = target.lanes(32)
    kind = f"<{lanes} x float>"
    numbers = range(CHAINS)
    loads = [_load(kind, f"%s{k}", "%in", lanes * k) for k in range(CHAINS + 2)]
    phis = [f"  %a{k} = phi {kind} [ %s{k}, %next ], [ %b{k}, %loop ]" for k in numbers]
    a, b = f"%s{CHAINS}", f"%s{CHAINS + 1}"
    call = f"call {kind} @llvm.fma.v{lanes}f32"
    if target.has_fma:
        steps = [f"  %b{k} = {call}({kind} %a{k}, {kind} {a}, {kind} {b})" for k in numbers]
    else:
        steps = [
            f"  %m{k} = fmul {kind} %a{k}, {a}\n  %b{k} = fadd {kind} %m{k}, {b}" for k in numbers
        ]
    sums = [
        f"  %t{k} = fadd {kind} %{'b0' if k == 1 else f't{k - 1}'}, %b{k}" for k in numbers if k
    ]
    body = f"""
{_lines(loads)}
  br label %tasks
tasks:
  %task = phi i64 [ %begin, %entry ], [ %after, %done ]
  %more = icmp slt i64 %task, %end
  br i1 %more, label %next, label %exit
next:
  br label %loop
loop:
  %step = phi i64 [ 0, %next ], [ %step1, %loop ]
{_lines(phis)}
{_lines(steps)}
  %step1 = add i64 %step, 1
  %again = icmp slt i64 %step1, {_STEPS}
  br i1 %again, label %loop, label %done
done:
{_lines(sums)}
  %offset = mul i64 %task, {lanes}
  %place = getelementptr float, ptr %out, i64 %offset
  store {kind} %t{CHAINS - 1}, ptr %place, align 4
  %after = add i64 %task, 1
  br label %tasks
exit:
  ret void"""
    declared = f"declare {kind} @llvm.fma.v{lanes}f32({kind}, {kind}, {kind})"
    flops = 2 * lanes * CHAINS * _STEPS * _TASKS
    shapes = (lanes * (CHAINS + 2), lanes * _TASKS)
    return _compile("fma_peak", target, body, declared, _TASKS, shapes, flops, 0)


def copy_ceiling(target: Target, floats: int, streaming: bool, repeats: int = 1) -> Compiled:
    """A copy of `floats` f32 (rounded up to whole chunks) to another place, both 64-byte aligned.

    `streaming` stores past the caches, which saves reading what is overwritten. With `repeats`
    every thread copies its part that often, so small parts come from a cache near to it.
    """
    lanes = target.lanes(32)
    kind = f"<{lanes} x float>"
    chunks = -(-floats // CHUNK)
    hint = ", !nontemporal !0" if streaming else ""
    moves: list[str] = []
    for k in range(_UNROLL):
        offset = lanes * k
        moves += [
            f"  %p{k} = getelementptr float, ptr %from, i64 {offset}",
            f"  %q{k} = getelementptr float, ptr %to, i64 {offset}",
            f"  %v{k} = load {kind}, ptr %p{k}, align {4 * lanes}",
            f"  store {kind} %v{k}, ptr %q{k}, align {4 * lanes}{hint}",
        ]
    x86 = target.architecture == "x86_64"
    fence = "  call void @llvm.x86.sse.sfence()\n" if streaming and x86 else ""
    body = _ranges(moves, [], lanes * _UNROLL, repeats, f"{fence}  ret void")
    declared = "declare void @llvm.x86.sse.sfence()\n" if x86 else ""
    count = chunks * CHUNK
    name = "copy_streaming" if streaming else "copy"
    size = 2 * 4 * count * repeats
    return _compile(
        name, target, body, f"{declared}!0 = !{{i32 1}}", chunks, (count, count), 0, size
    )


def read_ceiling(target: Target, floats: int, repeats: int = 1) -> Compiled:
    """Reads `floats` f32 (rounded up to whole chunks) and adds them up; `repeats` as above.

    The result has a vector of sums for each chunk; only the first of a thread's range is written.
    """
    lanes = target.lanes(32)
    kind = f"<{lanes} x float>"
    chunks = -(-floats // CHUNK)
    numbers = range(_SUMS)
    moves: list[str] = []
    for k in numbers:
        moves += [
            f"  %p{k} = getelementptr float, ptr %from, i64 {lanes * k}",
            f"  %v{k} = load {kind}, ptr %p{k}, align {4 * lanes}",
            f"  %b{k} = fadd {kind} %a{k}, %v{k}",
        ]
    total = [
        f"  %t{k} = fadd {kind} %{'a0' if k == 1 else f't{k - 1}'}, %a{k}" for k in numbers if k
    ]
    finish = f"""
{_lines(total)}
  %offset = mul i64 %begin, {lanes}
  %place = getelementptr float, ptr %out, i64 %offset
  store {kind} %t{_SUMS - 1}, ptr %place, align 4
  ret void"""
    carried = [(f"%a{k}", f"%b{k}", kind) for k in numbers]
    body = _ranges(moves, carried, lanes * _SUMS, repeats, finish)
    shapes = (chunks * CHUNK, chunks * lanes)
    return _compile("read", target, body, "", chunks, shapes, 0, 4 * chunks * CHUNK * repeats)


def _ranges(
    moves: list[str], carried: list[tuple[str, str, str]], step: int, repeats: int, finish: str
) -> str:
    """`moves` at %from and %to for every `step` floats of the task's chunks, `repeats` times.

    `carried` are the values from one step to the next (name before, name after, type), which
    start as zeros and have the names before in `finish`, too.
    """
    outer = [
        f"  {before}.r = phi {kind} [ zeroinitializer, %entry ], [ {before}, %again ]"
        for before, _, kind in carried
    ]
    inner = [
        f"  {before} = phi {kind} [ {before}.r, %round ], [ {after}, %loop ]"
        for before, after, kind in carried
    ]
    return f"""
  %first = mul i64 %begin, {CHUNK}
  %last = mul i64 %end, {CHUNK}
  br label %round
round:
  %r = phi i64 [ 0, %entry ], [ %r1, %again ]
{_lines(outer)}
  br label %head
head:
  %i = phi i64 [ %first, %round ], [ %i1, %loop ]
{_lines(inner)}
  %more = icmp slt i64 %i, %last
  br i1 %more, label %loop, label %again
loop:
  %from = getelementptr float, ptr %in, i64 %i
  %to = getelementptr float, ptr %out, i64 %i
{_lines(moves)}
  %i1 = add i64 %i, {step}
  br label %head
again:
  %r1 = add i64 %r, 1
  %rounds = icmp slt i64 %r1, {repeats}
  br i1 %rounds, label %round, label %exit
exit:
{finish}"""


def _compile(
    name: str, target: Target, body: str, declared: str, tasks: int, shapes: tuple[int, int],
    flops: int, size: int,
) -> Compiled:  # fmt: skip
    """A model with one input and one output whose parallel loop runs `body` on ranges of tasks."""
    text = f"""
target triple = "{target.triple}"
declare void @tk_parallel_for(ptr, ptr, i64, i32)
{declared}
define internal void @task(ptr %context, i64 %begin, i64 %end) {{
entry:
  %in = load ptr, ptr %context
  %slot = getelementptr ptr, ptr %context, i64 1
  %out = load ptr, ptr %slot{body}
}}
define i32 @tk_body(ptr %arguments, ptr %constants, ptr %workspace, i32 %threads) {{
  call void @tk_parallel_for(ptr @task, ptr %arguments, i64 {tasks}, i32 %threads)
  ret i32 0
}}
"""
    module = llvm.parse_assembly(text)
    module.verify()
    manifest = Manifest(
        model=name,
        inputs=(TensorSpec("x", (shapes[0],), "f32"),),
        outputs=(TensorSpec("y", (shapes[1],), "f32"),),
        workspace_bytes=0,
        constants_bytes=0,
        triple=target.triple,
        cpu=target.cpu,
        features=target.features,
        flops=flops,
        bytes=size,
        peak_bytes=4 * sum(shapes),
        kernels=(),
        compiler="",
    )
    return Compiled(manifest, emit_object(module, target), np.empty(0, np.uint8))


def _load(kind: str, name: str, base: str, offset: int) -> str:
    return (
        f"  {name}.p = getelementptr float, ptr {base}, i64 {offset}\n"
        f"  {name} = load {kind}, ptr {name}.p, align 4"
    )


def _lines(lines: list[str]) -> str:
    return "\n".join(lines)
