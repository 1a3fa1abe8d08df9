"""Products whose tasks pack panels of a large right operand themselves: answers, threads, when."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import dot_general
from tensorkiln.compiler.pipeline import compile_function, lower
from tensorkiln.compiler.schedules import tiling
from tensorkiln.runtime.jit import load_compiled

Shape = tuple[int, int, int]


def product(shape: Shape, turned: bool, dtype: DType = F32, readers: int = 1) -> Function:
    """Rows times a matrix, which lies transposed if it is `turned`; several products read it."""
    m, n, k = shape
    builder = Builder(REGISTRY, "product")
    right = builder.parameter("b", TensorType((n, k) if turned else (k, n), dtype))
    results = []
    for number in range(readers):
        left = builder.parameter(f"a{number}", TensorType((m, k), dtype))
        made = dot_general(builder, left, right, (), (), (1,), (1 if turned else 0,))
        results.append(builder.one("maximum", (builder.one("negate", (made,)), made)))
    return builder.finish(results)


def arrays(function: Function) -> list[np.ndarray]:
    """Small integers, whose sums are exact in any order."""
    generator = np.random.default_rng(0)
    shapes = [(p.shape, p.dtype.numpy) for p in function.parameters]
    return [generator.integers(-8, 9, shape).astype(dtype) for shape, dtype in shapes]


def wanted(operands: list[np.ndarray], turned: bool) -> np.ndarray:
    b, a = operands
    found: np.ndarray = np.abs(a.astype(np.float64) @ (b.T if turned else b))
    return found.astype(a.dtype)


def staged(function: Function) -> int:
    program = lower(function, target_named("x86-64-v4")).program
    return sum(kernel.scratch > 0 for kernel in program.kernels)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((128, 512, 600), 1),
        ((128, 256, 512), 0),  # a copy of the right operand stays near
        ((30, 512, 600), 0),  # too few tiles of rows for each panel
        ((700, 512, 600), 0),  # rows are several blocks, each would pack all panels
    ],
)
def test_which_products(shape: Shape, count: int, turned: bool) -> None:
    assert staged(product(shape, turned)) == count


def test_panels_that_several_products_read_are_packed_once_for_all() -> None:
    assert staged(product((128, 512, 600), False, readers=2)) == 0


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", [(29, 70, 37), (33, 33, 16), (31, 16, 61)])
def test_interpreted(shape: Shape, turned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "NEAR_BYTES", 256)
    monkeypatch.setattr(tiling, "STAGED_DEPTH", 16)
    monkeypatch.setattr(tiling, "STAGED_TILES", 2)
    function = product(shape, turned)
    program = lower(function, target_named("x86-64-v3")).program
    (kernel,) = [each for each in program.kernels if each.scratch]
    verify_kernel(kernel)
    operands = arrays(function)
    result = np.full(function.results[0].shape, np.nan, np.float32)
    interpret_program(program, [*operands, result])
    np.testing.assert_array_equal(result, wanted(operands, turned))


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", [(128, 512, 600), (127, 521, 599), (110, 1030, 263)])
def test_values(shape: Shape, turned: bool, dtype: DType) -> None:
    function = product(shape, turned, dtype)
    operands = arrays(function)
    compiled = compile_function(function)
    (one,), (three,) = (load_compiled(compiled, threads)(*operands) for threads in (1, 3))
    np.testing.assert_array_equal(one, wanted(operands, turned))
    np.testing.assert_array_equal(one, three)
