"""What the table of samples cannot say of cumulative."""

from __future__ import annotations

import numpy as np
import pytest
from ops.samples import draw

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import F64
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.scan_gradient import cumulative


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("reducer", ["maximum", "minimum"])
def test_exclusive_extremes_send_cotangents_to_the_element_they_equal(
    reducer: str, reverse: bool
) -> None:
    x, g = draw((3, 9), F64), draw((3, 9), F64, seed=1)
    builder = Builder(REGISTRY)
    operand, weights = (builder.parameter(n, TensorType((3, 9), F64)) for n in ("x", "g"))
    result = cumulative(builder, operand, reducer, 1, exclusive=True, reverse=reverse)
    found = differentiate(builder, [result], [operand], [weights])
    assert found[0] is not None
    (slope,) = evaluate(builder.finish([found[0]]), [x, g])
    expected = np.zeros_like(x)
    pick = np.argmax if reducer == "maximum" else np.argmin
    for row in range(3):
        for k in range(9):
            earlier = list(range(8, k, -1) if reverse else range(k))
            if earlier:
                expected[row, earlier[pick(x[row, earlier])]] += g[row, k]
    np.testing.assert_allclose(slope, expected, atol=1e-12)


def test_products_have_exact_slopes_where_many_factors_are_zero() -> None:
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    builder = Builder(REGISTRY)
    operand = builder.parameter("x", TensorType((5,), F64))
    result = cumulative(builder, operand, "multiply", 0)
    weights = builder.constant(np.ones(5))
    found = differentiate(builder, [result], [operand], [weights])
    assert found[0] is not None
    (slope,) = evaluate(builder.finish([found[0]]), [x])
    # y = (a, ab, abc, abcd, abcde): only ab and abc move with b, and nothing with what is behind.
    np.testing.assert_array_equal(slope, [1.0, 2.0 + 2.0 * 3.0, 0.0, 0.0, 0.0])
