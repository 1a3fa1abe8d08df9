"""Products with several batch dims: operands that lie in another order, and results that are to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from compiled.check import check, check_interpreted
from compiled.data import feeds

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.dtypes import F16, F32, F64, I32, DType
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.open_pipeline import compile_open
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import transpose
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.open_executable import opened

HEADS_FIRST = (0, 2, 1, 3)


def dot(b: Builder, x: Value, y: Value, lhs: int, rhs: int, batch: Sequence[int] = (0, 1)) -> Value:
    """The product of `x` and `y` over dims `lhs` and `rhs`."""
    return b.one(
        "dot_general", (x, y), lhs_batch=tuple(batch), rhs_batch=tuple(batch),
        lhs_contracting=(lhs,), rhs_contracting=(rhs,),
    )  # fmt: skip


def heads(
    images: int, tokens: int, count: int, width: int, dtype: DType = F32, scaled: bool = False
) -> Function:
    """The products of attention and of its gradients, tokens outermost in memory."""
    b = Builder(REGISTRY)
    kind = TensorType((images, tokens, count, width), dtype)
    q, k, v = (transpose(b, b.parameter(name, kind), HEADS_FIRST) for name in "qkv")
    scores = dot(b, q, k, 3, 3)
    if scaled:
        scores = b.one("multiply", (scores, scores))
    results = [
        dot(b, scores, v, 3, 2),  # rows by columns
        dot(b, scores, q, 2, 2),  # the left operand lies transposed
        transpose(b, dot(b, v, scores, 2, 2), (0, 1, 3, 2)),
    ]
    return b.finish([scores, *(transpose(b, result, HEADS_FIRST) for result in results)])


def turned(
    permutation: tuple[int, ...], after: str = "", also: bool = False, dtype: DType = F32
) -> Function:
    """A transposed product of batches of 3 by 3, which something may read before or afterwards."""
    b = Builder(REGISTRY)
    x = b.parameter("x", TensorType((3, 3, 3, 7), dtype))
    y = b.parameter("y", TensorType((3, 3, 7, 3), dtype))
    product = dot(b, x, y, 3, 2)
    result = transpose(b, product, permutation)
    if after:
        result = b.one(after, (result, b.parameter("z", result.type)))
    return b.finish([result, product] if also else [result])


CASES = {
    "several heads": heads(2, 17, 3, 8),
    "one head": heads(2, 9, 1, 16),
    "one image": heads(1, 33, 4, 16, scaled=True),
    "one token": heads(3, 1, 2, 5),
    "long rows": heads(1, 67, 2, 33),
    "f64": heads(2, 11, 3, 4, F64),
    "f16": heads(2, 11, 3, 4, F16),
    "i32": heads(2, 11, 3, 4, I32),
    "nothing": heads(2, 0, 3, 4),
    "turned": turned((1, 0, 2, 3)),
    "rows between batches": turned((0, 2, 1, 3)),
    "rows do not stay": turned((0, 1, 3, 2)),
    "turned, then added to": turned((2, 0, 1, 3), "add"),
    "turned, read before too": turned((1, 0, 2, 3), also=True),
    "turned, f16": turned((1, 2, 0, 3), dtype=F16),
}


@pytest.mark.parametrize("small", [False, True], ids=["whole", "small"])
@pytest.mark.parametrize("name", CASES)
def test_results_are_right(name: str, small: bool) -> None:
    check(CASES[name], small=small)


@pytest.mark.parametrize("name", ["one token", "turned, then added to"])
def test_on_narrow_vectors_and_interpreted(name: str) -> None:
    check(CASES[name], "x86-64", small=True)
    check_interpreted(CASES[name])


def test_nothing_is_copied_into_another_order() -> None:
    fused = optimize_function(heads(2, 17, 3, 8))
    kinds = [op.string("kind") for op in fused.ops if op.name == "fusion"]
    assert kinds.count("contract") == 4
    assert kinds.count("loops") == 1  # the result whose rows do not stay rows


def test_open_sizes() -> None:
    def make(sizes: Mapping[str, int]) -> Function:
        return heads(sizes["images"], sizes["tokens"], 3, 8)

    symbols = [Symbol("images", 1, 3), Symbol("tokens", 2, 19)]
    executable = opened(load_compiled(compile_open(make, symbols, target_named("host")), 2))
    for images, tokens in ((1, 2), (2, 19), (3, 7)):
        function = make({"images": images, "tokens": tokens})
        arrays = feeds(function)
        for got, wanted in zip(executable(*arrays), evaluate(function, arrays), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-4)
