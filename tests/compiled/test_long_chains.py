"""Chains of hundreds of elementwise ops: more than one kernel's expression may hold."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import binary
from tensorkiln.compiler.pipeline import jit


def test_a_chain_of_six_hundred_ops() -> None:
    builder = Builder(REGISTRY, "chain")
    x = builder.parameter("x", TensorType((37,), F32))
    y = x
    for _ in range(200):
        y = binary(builder, "multiply", y, x)
        y = builder.one("abs", (y,))
        y = binary(builder, "maximum", y, x)
    function = builder.finish([y])
    array = np.linspace(-1.01, 1.01, 37).astype(np.float32)
    (wanted,) = evaluate(function, [array])
    (got,) = jit(function, 1)(array)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
