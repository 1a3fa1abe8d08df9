"""A program compiled in parts: the same answers as in one module, the same bytes each time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from tensorkiln.compiler.codegen.machine_code import machine_code
from tensorkiln.compiler.codegen.module import emit_parts, emit_program
from tensorkiln.compiler.codegen.target import emit_assembly, optimize, target_named
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.pipeline import Stages, generate, lower
from tensorkiln.runtime.elf import SHT_SYMTAB, read_elf
from tensorkiln.runtime.jit import load_compiled

LAYERS = 9
HOW = "{lhs_batch = (), rhs_batch = (), lhs_contracting = (1), rhs_contracting = (0)}"


def network() -> Function:
    """Products of different sizes, each of which is a kernel of its own."""
    weights = ", ".join(f"%w{k}: f32[{k + 3},{k + 4}]" for k in range(LAYERS))
    lines = [f"func @main(%v0: f32[5,3], {weights}) -> (f32[5,{LAYERS + 3}]) {{"]
    for k in range(LAYERS):
        kind = f"f32[5,{k + 4}]"
        lines.append(f"  %p{k}: {kind} = dot_general(%v{k}, %w{k}) {HOW}")
        lines.append(f"  %v{k + 1}: {kind} = tanh(%p{k})")
    return parse_function("\n".join([*lines, f"  return %v{LAYERS}\n}}"]))


@pytest.fixture(scope="module")
def stages() -> Stages:
    return lower(network(), target_named("host"))


def test_several_modules_compute_what_one_does(stages: Stages) -> None:
    assert len(stages.program.kernels) == LAYERS
    host = target_named("host")
    parts = list(emit_parts(stages.program, host.triple))
    assert len(parts) == -(-LAYERS // 4) + 1
    compiled = generate(network(), stages, host)
    whole = machine_code([emit_program(stages.program, host.triple)], host).object_code
    generator = np.random.default_rng(0)
    arrays = [
        generator.standard_normal(spec.shape).astype(spec.numpy)
        for spec in compiled.manifest.inputs
    ]
    (found,) = load_compiled(compiled, 1)(*arrays)
    (wanted,) = load_compiled(replace(compiled, object_code=whole), 1)(*arrays)
    np.testing.assert_array_equal(found, wanted)
    expected = arrays[0]
    for weight in arrays[1:]:
        expected = np.tanh(expected @ weight)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_only_the_body_can_be_seen(stages: Stages) -> None:
    code = generate(network(), stages, target_named("host")).object_code
    (table,) = [s for s in read_elf(code, "object").sections if s.type == SHT_SYMTAB]
    rows = np.frombuffer(table.data, np.uint8).reshape(-1, 24)
    defined_globals = (rows[:, 4] >> 4 == 1) & (rows[:, 6:8].view("<u2")[:, 0] != 0)
    assert defined_globals.sum() == 1


def test_the_same_bytes_each_time(stages: Stages) -> None:
    codes = {generate(network(), stages, target_named("host")).object_code for _ in range(3)}
    assert len(codes) == 1


def test_texts_are_given_where_they_are_wanted(stages: Stages) -> None:
    host = target_named("host")
    code = machine_code(stages.modules(), host, texts=True)
    assert code.optimized.count("@tk_body(") == 1
    assert all(f"k{number}." in code.optimized for number in range(LAYERS))
    assert machine_code(stages.modules(), host).optimized == ""


@pytest.mark.parametrize("target", ["aarch64", "riscv64", "x86-64", "wasm32"])
def test_other_machines(target: str) -> None:
    made_for = target_named(target)
    code = machine_code(lower(network(), made_for).modules(), made_for).object_code
    assert code[:4] == (b"BC\xc0\xde" if target == "wasm32" else b"\x7fELF")


def test_a_failure_in_making_a_module_is_told(stages: Stages) -> None:
    def broken() -> Iterator[ir.Module]:
        yield next(iter(stages.modules()))
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        machine_code(broken(), target_named("host"))


def test_products_take_numbers_from_memory() -> None:
    """Where arithmetic spreads a number from memory, no instruction of its own does."""
    text = f"""func @main(%x: f32[280,64], %w: f32[64,256]) -> (f32[280,256]) {{
      %y: f32[280,256] = dot_general(%x, %w) {HOW}
      return %y
    }}"""
    target = target_named("x86-64-v4")
    stages = lower(parse_function(text), target)
    module = next(iter(stages.modules()))
    reference = llvm.parse_assembly(str(module))
    optimize(reference, target)
    assembly = emit_assembly(reference, target)
    assert assembly.count("{1to16}") >= 28
    assert not re.search(r"vbroadcastss\t\S*\(", assembly)
