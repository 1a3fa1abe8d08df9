"""Targets: what is known of them, and that LLVM emits their instructions and nothing more."""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest

from tensorkiln.compiler.codegen.target import (
    NAMES,
    emit_assembly,
    emit_object,
    optimize,
    target_named,
)
from tensorkiln.runtime.errors import UnsupportedError
from tensorkiln.runtime.processor import missing_features

FMA = """
target triple = "{triple}"
declare <{n} x float> @llvm.fma.v{n}f32(<{n} x float>, <{n} x float>, <{n} x float>)
define void @vector(ptr %a) {{
  %v = load <{n} x float>, ptr %a, align 4
  %w = call <{n} x float> @llvm.fma.v{n}f32(<{n} x float> %v, <{n} x float> %v, <{n} x float> %v)
  store <{n} x float> %w, ptr %a, align 4
  ret void
}}
define void @scalar_loop(ptr noalias %a, ptr noalias %b) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %p = getelementptr float, ptr %a, i64 %i
  %x = load float, ptr %p
  %y = fadd float %x, 1.0
  %q = getelementptr float, ptr %b, i64 %i
  store float %y, ptr %q
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, 64
  br i1 %more, label %loop, label %exit
exit:
  ret void
}}
"""


@pytest.mark.parametrize(
    ("name", "bits", "fma", "mask", "registers", "instruction"),
    [
        ("x86-64-v3", 256, True, False, 16, "%ymm"),
        ("x86-64-v4", 512, True, True, 32, "%zmm"),
        ("aarch64", 128, True, False, 32, "fmla"),
        ("x86-64", 128, False, False, 16, "%xmm"),
        ("x86-64-v2", 128, False, False, 16, "%xmm"),
    ],
)
def test_named_targets(
    name: str, bits: int, fma: bool, mask: bool, registers: int, instruction: str
) -> None:
    target = target_named(name)
    assert (target.vector_bits, target.has_fma, target.has_mask) == (bits, fma, mask)
    assert target.registers == registers
    assert target.lanes(32) == bits // 32
    module = llvm.parse_assembly(FMA.format(triple=target.triple, n=target.lanes(32)))
    optimize(module, target)
    text = emit_assembly(module, target)
    vector, loop = text.split("scalar_loop:")
    assert instruction in vector
    # neither vectorised nor unrolled: our schedules decide that
    assert len([line for line in loop.splitlines() if "add" in line and "s" in line]) <= 2
    assert "addps" not in loop
    assert "fadd\tv" not in loop
    assert emit_object(module, target).startswith(b"\x7fELF\x02")


def test_host_describes_this_machine() -> None:
    host = target_named("host")
    assert missing_features(host.features) == ()
    assert host.vector_bits in (128, 256, 512)
    assert (host.vector_bits == 512) == ("-prefer-256-bit" in host.features)
    if host.architecture == "x86_64" and host.vector_bits == 512:
        module = llvm.parse_assembly(FMA.format(triple=host.triple, n=16))
        optimize(module, host)
        assert "%zmm" in emit_assembly(module, host)


def test_unknown_target_lists_the_known_ones() -> None:
    with pytest.raises(UnsupportedError, match=r"'pdp11'.*x86-64-v3"):
        target_named("pdp11")
    assert all(target_named(name).name == name for name in NAMES)
