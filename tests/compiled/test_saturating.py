"""Vectors of floats become integers as single floats do: truncated, saturated, 0 for NaN."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, DType
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import convert
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.processor import missing_features


def edges(source: DType) -> np.ndarray:
    """Numbers at, below and above the ends of every integer dtype."""
    ends = [0.0, *(2.0**k for k in (7, 8, 15, 16, 31, 32, 63, 64))]
    around = [v for e in ends for v in (e, -e, e - 0.5, -e - 0.5, e + 1, -e - 1, e - 1)]
    special = [np.nan, -np.nan, np.inf, -np.inf, -0.0, 0.999, -0.999, 1e-40, 3e38]
    values = np.array([*around, *special], source.numpy)
    nearest = (np.nextafter(values, source.numpy.type(sign)) for sign in (np.inf, -np.inf))
    return np.concatenate([values, *nearest])


@pytest.mark.parametrize("target", ["host", "x86-64-v3", "x86-64"])
@pytest.mark.parametrize("source", [F32, F64], ids=str)
@pytest.mark.parametrize("kind", [I8, U8, I16, U16, I32, U32, I64, U64], ids=str)
def test_floats_saturate_in_lanes(kind: DType, source: DType, target: str):
    values = edges(source)
    builder = Builder(REGISTRY)
    x = builder.parameter("x", TensorType(values.shape, source))
    function = builder.finish([convert(builder, x, kind)])
    compiled = compile_function(function, target)
    if missing_features(target_named(target).features):
        pytest.skip(f"this machine cannot run code for {target}")
    (found,) = load_compiled(compiled)(values)
    np.testing.assert_array_equal(found, evaluate(function, [values])[0])
