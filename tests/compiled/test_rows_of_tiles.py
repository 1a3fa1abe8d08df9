"""Products of near operands that are made by the call, and of few columns: threads share out rows."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.text import print_kernel
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import dot_general
from tensorkiln.compiler.pipeline import compile_function, lower
from tensorkiln.runtime.jit import load_compiled


def product(m: int, n: int, k: int) -> Function:
    """A matrix of `m` rows times one of `n` columns."""
    builder = Builder(REGISTRY, "product")
    left = builder.parameter("x", TensorType((m, k), F32))
    right = builder.parameter("w", TensorType((k, n), F32))
    return builder.finish([dot_general(builder, left, right, (), (), (1,), (0,))], ["y"])


@pytest.mark.parametrize(
    ("m", "n", "k", "tasks"),
    [
        (128, 512, 156, 10),  # ten tiles of 13 rows
        (150, 512, 61, 8),  # eleven, which two threads cannot halve: columns
        (784, 10, 100, 8),  # one panel of columns: seven tiles of 14 rows a task
        (128, 512, 1024, 8),  # the right operand is not near
    ],
)
def test_who_computes_what(m: int, n: int, k: int, tasks: int) -> None:
    function = product(m, n, k)
    kernels = lower(function, target_named("x86-64-v4")).program.kernels
    text = print_kernel(next(kernel for kernel in kernels if kernel.name == "dot_general"))
    assert f"in 0..{tasks} {{" in text.split("parallel", 1)[1].split("\n", 1)[0] + "\n"


@pytest.mark.parametrize(
    ("m", "n", "k"), [(128, 512, 156), (127, 100, 67), (109, 33, 130), (785, 10, 99)]
)
def test_values(m: int, n: int, k: int) -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((m, k)).astype(np.float32)
    w = generator.standard_normal((k, n)).astype(np.float32)
    compiled = compile_function(product(m, n, k))
    (one,), (two,) = (load_compiled(compiled, threads)(x, w) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one, x.astype(np.float64) @ w, atol=2e-4)
