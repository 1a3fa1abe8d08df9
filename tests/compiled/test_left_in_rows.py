"""Where a product reads its left operand in rows, and where a packed copy is made first."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import compile_function, lower
from tensorkiln.runtime.jit import load_compiled


@pytest.mark.parametrize(
    ("m", "n", "k", "copies"),
    [
        (61, 128, 1100, 0),  # small, and rows lie in different sets of the first-level cache
        (61, 128, 1024, 1),  # rows that are multiples of 4096 bytes displace each other there
        (61, 2100, 1100, 1),  # very many panels read it
        (257, 128, 1100, 1),  # more than a near cache holds
    ],
)
def test_left_operand(m: int, n: int, k: int, copies: int) -> None:
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((k, n)).astype(np.float32)
    builder = Builder(REGISTRY, "product")
    left = builder.parameter("x", TensorType((m, k), F32))
    right = builder.constant(weight)
    result = builder.one(
        "dot_general", (left, right),
        lhs_batch=(), rhs_batch=(), lhs_contracting=(1,), rhs_contracting=(0,),
    )  # fmt: skip
    function = builder.finish([result], ["y"])
    names = [kernel.name for kernel in lower(function, target_named("host")).program.kernels]
    assert names.count("rearrange") == copies
    x = generator.standard_normal((m, k)).astype(np.float32)
    (found,) = load_compiled(compile_function(function), 1)(x)
    wanted = x.astype(np.float64) @ weight
    np.testing.assert_allclose(found, wanted, atol=2e-4)  # of sums up to 150
