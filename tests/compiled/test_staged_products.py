"""Products whose tasks pack their operands themselves: answers, threads, memory, and when."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, F64, I32, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.kernel.parse import parse_kernel
from tensorkiln.compiler.kernel.text import print_kernel
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import compile_function, lower
from tensorkiln.compiler.schedules import layouts, tiling
from tensorkiln.runtime.jit import load_compiled

Shape = tuple[int, int, int]


def product(shape: Shape, turned: str = "", dtype: DType = F32, chain: bool = False) -> Function:
    """`a @ b`, the operands named in `turned` lying transposed; `chain` adds something after."""
    m, n, k = shape
    builder = Builder(REGISTRY, "product")
    left = builder.parameter("a", TensorType((k, m) if "a" in turned else (m, k), dtype))
    right = builder.parameter("b", TensorType((n, k) if "b" in turned else (k, n), dtype))
    result = builder.one(
        "dot_general", (left, right), lhs_batch=(), rhs_batch=(),
        lhs_contracting=(0 if "a" in turned else 1,),
        rhs_contracting=(1 if "b" in turned else 0,),
    )  # fmt: skip
    if chain:
        result = builder.one("maximum", (builder.one("negate", (result,)), result))
    return builder.finish([result], ["y"])


def arrays(function: Function) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = [(p.shape, p.dtype.numpy) for p in function.parameters]
    return [generator.integers(-8, 9, shape).astype(dtype) for shape, dtype in shapes]


def wanted(operands: list[np.ndarray], turned: str, chain: bool = False) -> np.ndarray:
    a, b = operands
    whole = (a.T if "a" in turned else a).astype(np.float64)
    result = whole @ (b.T if "b" in turned else b).astype(np.float64)
    return (np.abs(result) if chain else result).astype(a.dtype)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets products of a few rows be staged, in several blocks of rows and of depth."""
    monkeypatch.setattr(layouts._Assigner, "_may_stage", lambda *_: True)
    monkeypatch.setattr(tiling, "STAGED_ROWS", 16)
    monkeypatch.setattr(tiling, "STAGED_DEPTH", 16)
    monkeypatch.setattr(tiling, "STAGED_BYTES", 4096)


SMALL: list[tuple[Shape, str]] = [
    ((16, 16, 16), ""), ((16, 16, 16), "ab"), ((37, 45, 29), ""), ((37, 45, 29), "ab"),
    ((29, 70, 17), "a"), ((29, 70, 17), "b"),
]  # fmt: skip


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("shape", "turned"), SMALL, ids=str)
def test_interpreted(shape: Shape, turned: str) -> None:
    function = product(shape, turned, chain=True)
    program = lower(function, target_named("host")).program
    (kernel,) = program.kernels
    assert kernel.scratch == 2
    assert program.workspace_bytes > 0
    verify_kernel(kernel)
    assert print_kernel(parse_kernel(print_kernel(kernel))) == print_kernel(kernel)
    operands = arrays(function)
    result = np.full(function.results[0].shape, np.nan, np.float32)
    interpret_program(program, [*operands, result])
    np.testing.assert_array_equal(result, wanted(operands, turned, chain=True))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("target", "dtype", "turned"),
    [
        ("host", F32, ""), ("host", F32, "ab"), ("host", F64, "a"), ("host", I32, "b"),
        ("x86-64-v2", F32, "a"), ("x86-64-v2", F32, "b"), ("x86-64-v2", I32, ""),
        ("x86-64-v3", F32, "a"), ("x86-64-v3", F32, "b"), ("x86-64-v3", F64, "ab"),
    ],
    ids=str,
)  # fmt: skip
def test_compiled(target: str, dtype: DType, turned: str) -> None:
    function = product((97, 45, 50), turned, dtype)
    executable = load_compiled(compile_function(function, target_named(target)), 2)
    operands = arrays(function)
    (found,) = executable(*operands)
    np.testing.assert_array_equal(found, wanted(operands, turned))


@pytest.mark.parametrize("shape", [(768, 256, 256), (791, 300, 523)], ids=str)
def test_threads_do_not_change_bits(shape: Shape) -> None:
    function = product(shape)
    compiled = compile_function(function)
    generator = np.random.default_rng(1)
    operands = [generator.standard_normal(p.shape).astype(np.float32) for p in function.parameters]
    first, *others = (load_compiled(compiled, threads)(*operands)[0] for threads in (1, 2, 3, 7))
    exact = operands[0].astype(np.float64) @ operands[1]
    np.testing.assert_allclose(first, exact, atol=2e-4)  # of sums up to 100
    for other in others:
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize(
    ("shape", "staged"),
    [((768, 256, 1024), True), ((700, 256, 1024), False), ((768, 200, 1024), False)],
)
def test_large_products_only(shape: Shape, staged: bool) -> None:
    program = lower(product(shape), target_named("x86-64-v4")).program
    assert len(program.kernels) == (1 if staged else 3)  # two copies otherwise


def test_memory_of_copies_does_not_grow_with_depth() -> None:
    host = target_named("x86-64-v4")
    sizes = [lower(product((768, 512, k)), host).program.workspace_bytes for k in (512, 4096)]
    assert sizes[0] == sizes[1]
