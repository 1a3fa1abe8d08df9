"""PTX text: entries, memory spaces, barriers; targets and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from gpu.graphs import CASES, Case
from ops.samples import Sample, all_samples, build

from tensorkiln.compiler.codegen.nvptx_target import FIRST_ISA, gpu_target
from tensorkiln.compiler.ir.dims import Affine, Symbol
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function, Location, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import compile_ptx, ptx
from tensorkiln.runtime.errors import UnsupportedError

_MATMUL = {"lhs_batch": (), "rhs_batch": (), "lhs_contracting": (1,), "rhs_contracting": (0,)}


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def function_of(op: str, *shapes: tuple[int, ...], **attributes: object) -> Function:
    builder = Builder(REGISTRY)
    values = [builder.parameter(f"x{k}", TensorType(s, F32)) for k, s in enumerate(shapes)]
    with builder.at(Location(node="my_node")):
        result = builder.one(op, values, **attributes)  # type: ignore[arg-type]
    return builder.finish([result])


@pytest.mark.parametrize("sm", [80, 90])
def test_softmax_is_one_entry_with_barriers(sm: int) -> None:
    module = compile_ptx(case_named("softmax of long rows").function(), f"sm_{sm}")
    (launch,) = module.launches
    text = module.text
    assert f".target sm_{sm}\n" in text
    assert re.findall(r"\.visible \.entry (\w+)\(", text) == [launch.entry]
    assert (launch.blocks, launch.threads) == (2, 128)
    assert launch.shared_bytes == 700 * 4 + 2 * 128 * 4
    assert ".reqntid 128\n" in text
    assert text.count("bar.sync") == 16  # two trees over 128 threads, 1 + 7 barriers each
    for instruction in ("ld.global.nc.b32", "st.global.b32", "ld.shared.b32", "st.shared.b32"):
        assert instruction in text


def test_elementwise_moves_vectors_and_rounds_every_operation() -> None:
    text = ptx(case_named("vectors of four").function())
    assert "ld.global.nc.v4.b32" in text
    assert "st.global.v4.b32" in text
    assert "fma.rn.f32" in text
    # Without a rounding mode the assembler would be free to fuse them into others.
    assert not re.search(r"\b(add|mul)\.f32", text)
    assert "bar.sync" not in text
    assert ".local" not in text


def test_donated_state_is_not_promised_to_be_apart() -> None:
    text = ptx(case_named("donated state").function())
    assert "ld.global.nc" not in text
    assert "ld.global" in text


def test_kernels_that_are_equal_are_emitted_once() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((7, 5), F32))
    y = builder.one("reduce", (x,), dimensions=(1,), reducer="add")
    z = builder.one("reduce", (builder.one("exponential", (x,)),), dimensions=(1,), reducer="add")
    module = compile_ptx(builder.finish([y, z]))
    assert len(module.launches) == module.text.count(".entry") == len(module.program.kernels)


@pytest.mark.parametrize("name", sorted(FIRST_ISA))
def test_every_target_makes_ptx_of_its_first_isa(name: str) -> None:
    text = compile_ptx(case_named("row sums").function(), name).text
    major, minor = FIRST_ISA[name]
    assert f".version {major}.{minor}\n.target {name}\n" in text


def test_a_later_isa_can_be_asked_for() -> None:
    module = compile_ptx(case_named("row sums").function(), gpu_target("sm_80", (8, 3)))
    assert ".version 8.3\n.target sm_80\n" in module.text


@pytest.mark.parametrize(
    ("name", "isa", "message"),
    [
        ("sm_90", (7, 0), "PTX ISA 7.0 does not know sm_90, which needs 7.8 or later"),
        ("sm_80", (6, 5), "PTX ISA 6.5 is not known"),
        ("sm_80", (99, 0), "PTX ISA 99.0 is not known; the newest is 8.7"),
        ("sm_13", None, "there is no GPU 'sm_13'; choose one of sm_80"),
        ("host", None, "there is no GPU 'host'"),
    ],
)
def test_impossible_targets_never_reach_llvm(
    name: str, isa: tuple[int, int] | None, message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        gpu_target(name, isa)


@pytest.mark.parametrize(
    "sample",
    [
        s
        for s in all_samples()
        if s.op in ("gather", "dynamic_slice", "pad", "iota", "reverse")
        and not any(map(np.iscomplexobj, s.arrays))  # made of concatenations
    ],
    ids=lambda sample: sample.name,
)
def test_irregular_accesses_are_emitted(sample: Sample) -> None:
    module = compile_ptx(build(sample))
    assert module.text.count(".entry") == len(module.launches)


def test_groups_without_a_gpu_family_are_named() -> None:
    joined = function_of("concatenate", (2, 3), (4, 3), dimension=0)
    with pytest.raises(UnsupportedError, match=r"my_node \(a group of kind concatenate"):
        ptx(joined)
    product = function_of("dot_general", (2, 3), (3, 4), **_MATMUL)
    with pytest.raises(UnsupportedError, match=r"my_node \(a group of kind contract: dot_general"):
        ptx(product)


def test_remainders_of_floats_are_refused_and_of_integers_are_not() -> None:
    with pytest.raises(UnsupportedError, match=r"my_node \(remainder of f32\)"):
        ptx(function_of("remainder", (5,), (5,)))
    integers = Case(
        "remainder", ((5,), (5,)), _remainder, case_named("row products of integers").dtype
    )
    assert ".entry" in ptx(integers.function())


def test_symbolic_sizes_are_refused() -> None:
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType((Affine(((Symbol("batch", 1, 64), 1),)), 3), F32))
    with pytest.raises(UnsupportedError, match="give numbers for the dims batch"):
        ptx(builder.finish([builder.one("abs", (x,))]))


def _remainder(builder: Builder, x: list[Value]) -> Value:
    return builder.one("remainder", tuple(x))
