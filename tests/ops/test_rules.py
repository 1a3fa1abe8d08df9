"""Type rules cite their constraints, and errors name the op and its place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import BOOL, F32, F64, I32, U32, DType
from tensorkiln.compiler.ir.function import Attribute, Location
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.runtime.errors import TypeRuleError


def kind(dtype: DType, *shape: int) -> TensorType:
    return TensorType(shape, dtype)


X = kind(F32, 2, 3)


@pytest.mark.parametrize(
    ("op", "types", "attributes", "message"),
    [
        ("add", (X,), {}, "C1: takes 2"),
        ("add", (X, kind(F32, 3, 2)), {}, "C2: operand types differ"),
        ("subtract", (kind(BOOL), kind(BOOL)), {}, "C3: .* bool"),
        ("tanh", (kind(I32),), {}, "C3: .* i32"),
        ("abs", (kind(U32),), {}, "C3: .* u32"),
        ("and", (X, X), {}, "C3: .* f32"),
        ("tanh", (X,), {"axis": 1}, r"has attributes \[\], not \['axis'\]"),
        ("compare", (X, X), {"direction": 3}, "direction is of kind str, not 3"),
        ("compare", (X, X), {"direction": "lt"}, "C3: direction is 'lt'"),
        ("compare", (X, kind(F64, 2, 3)), {"direction": "LT"}, "C2"),
        ("is_finite", (kind(I32),), {}, "C2"),
        ("select", (kind(BOOL, 3), X, X), {}, "C4"),
        ("select", (kind(I32), X, X), {}, "C3: the condition is i32"),
        ("select", (kind(BOOL), X, kind(F32)), {}, "C2"),
        ("clamp", (kind(F32, 3), X, kind(F32)), {}, r"C2: the bound is f32\[3\]"),
        ("bitcast_convert", (X,), {"dtype": F64}, "C3: f32 and f64 differ in width"),
        ("bitcast_convert", (kind(BOOL),), {"dtype": BOOL}, "C2"),
        ("constant", (), {"value": np.array(["a"])}, "C3: .*<U1"),
        ("quantize", (X, kind(I32), kind(I32)), {"axis": 0}, "C1"),
        ("quantize", (X, kind(F32, 7), kind(I32, 7)), {"axis": 0}, "C2"),
        ("quantize", (kind(I32, 2), kind(F32), kind(I32)), {"axis": 0}, "C3"),
        ("dequantize", (X, kind(F32), kind(F32)), {"axis": 0}, "C4"),
        ("softmax", (X,), {"axis": 2}, "C3: axis is 2"),
        ("softmax", (kind(I32, 2),), {"axis": 0}, "C2"),
        ("layer_norm", (X, X, X), {"axis": 1, "epsilon": 1e-3}, "C4"),
        ("batch_norm_training", (X, X, X), {"feature_index": 1, "epsilon": 1e-3}, "C4"),
        ("rng_bit_generator", (X,), {"shape": (2,), "row_blocks": 0}, "C2: the state is"),
        ("no_such_op", (X,), {}, "no op is named 'no_such_op'"),
    ],
)
def test_a_broken_constraint_is_cited(
    op: str, types: tuple[TensorType, ...], attributes: Mapping[str, Attribute], message: str
) -> None:
    builder = Builder(REGISTRY)
    operands = [builder.parameter(f"x{k}", t) for k, t in enumerate(types)]
    with pytest.raises(TypeRuleError, match=f"{op}.*{message}"):
        builder.op(op, operands, attributes)


def test_the_error_names_the_users_node_and_line() -> None:
    builder = Builder(REGISTRY)
    x, y = builder.parameter("x", X), builder.parameter("y", kind(F32))
    with (
        builder.at(Location("dense/add", "model.py", 12)),
        pytest.raises(TypeRuleError, match=r"add \('dense/add' at model.py:12\): C2"),
    ):
        builder.op("add", (x, y))
