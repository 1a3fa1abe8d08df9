"""Reverse mode over functions: paths, stops, seeds and repetition."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.differentiate import differentiate, gradient
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import BF16, F32, F64, I32
from tensorkiln.compiler.ir.function import Array, Function, Location, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.runtime.errors import TypeRuleError

VECTOR = TensorType((3,), F64)


def close(found: Array, expected: Array | list[float]) -> bool:
    return np.allclose(found.astype(np.float64), np.asarray(expected, np.float64), atol=1e-12)


def builder_with(*names: str) -> tuple[Builder, list[Value]]:
    builder = Builder(REGISTRY)
    return builder, [builder.parameter(name, VECTOR) for name in names]


def test_a_value_used_twice_adds_up_its_cotangents() -> None:
    builder, (x,) = builder_with("x")
    y = builder.one("multiply", (x, x))
    (dx,) = differentiate(builder, [builder.one("add", (y, x))], [x])
    assert dx is not None
    (found,) = evaluate(builder.finish([dx]), [np.array([1.0, 2, 3])])
    assert found.tolist() == [3, 5, 7]


def test_no_path_gives_none() -> None:
    builder, (x, y, z) = builder_with("x", "y", "z")
    stopped = builder.one("stop_gradient", (y,))
    out = builder.one("multiply", (x, stopped))
    dx, dy, dz = differentiate(builder, [out], [x, y, z])
    assert dx is stopped or dx is not None
    assert dy is None
    assert dz is None


def test_integers_have_no_gradient_and_pass_none() -> None:
    builder, (x,) = builder_with("x")
    n = builder.parameter("n", TensorType((3,), I32))
    whole = builder.one("convert", (x,), dtype=I32)
    back = builder.one("convert", (builder.one("add", (whole, n)),), dtype=F64)
    assert differentiate(builder, [back], [x, n]) == [None, None]


def test_an_input_may_lie_in_the_middle_of_the_path() -> None:
    builder, (x,) = builder_with("x")
    y = builder.one("multiply", (x, x))
    z = builder.one("multiply", (y, y))
    dx, dy, dz = differentiate(builder, [z], [x, y, z])
    assert dx is not None
    assert dy is not None
    assert dz is not None
    found = evaluate(builder.finish([dx, dy, dz]), [np.full(3, 2.0)])
    assert [a[0] for a in found] == [4 * 2.0**3, 2 * 4, 1]


def test_cotangents_weigh_the_outputs() -> None:
    builder, (x, w) = builder_with("x", "w")
    outputs = [builder.one("negate", (x,)), builder.one("add", (x, x))]
    (dx,) = differentiate(builder, outputs, [x], [w, None])
    assert dx is not None
    (found,) = evaluate(builder.finish([dx]), [np.zeros(3), np.array([1.0, 2, 3])])
    assert found.tolist() == [-1, -2, -3]


def test_a_cotangent_of_another_type_is_an_error() -> None:
    builder, (x,) = builder_with("x")
    with pytest.raises(TypeRuleError, match="cotangent"):
        differentiate(builder, [builder.one("negate", (x,))], [x], [builder.constant(1.0, F32)])


@pytest.mark.parametrize(("op", "expected"), [("maximum", [1, 1, 0]), ("minimum", [0, 1, 1])])
def test_at_a_tie_the_first_operand_gets_the_gradient(op: str, expected: list[int]) -> None:
    builder, (x, y) = builder_with("x", "y")
    dx, dy = differentiate(builder, [builder.one(op, (x, y))], [x, y])
    assert dx is not None
    assert dy is not None
    found = evaluate(builder.finish([dx, dy]), [np.array([2.0, 1, 0]), np.array([1.0, 1, 1])])
    assert found[0].tolist() == expected
    assert found[1].tolist() == [1 - e for e in expected]


def test_abs_and_sign_have_zero_slope_at_zero() -> None:
    for op in ("abs", "sign"):
        builder, (x,) = builder_with("x")
        function = builder.finish([builder.one(op, (x,))])
        assert evaluate(gradient(function), [np.zeros(3)])[0].tolist() == [0, 0, 0]


def test_power_gives_the_exponent_nothing_where_the_base_is_not_positive() -> None:
    builder, (x, y) = builder_with("x", "y")
    function = builder.finish([builder.one("power", (x, y))])
    dx, dy = evaluate(gradient(function), [np.array([0.0, -2, np.e]), np.array([2.0, 2, 1])])
    assert close(dx, [0, -4, 1])
    assert close(dy, [0, 0, np.e])


def test_a_select_shields_from_what_it_does_not_take() -> None:
    builder, (x,) = builder_with("x")
    positive = builder.one("compare", (x, builder.constant(np.zeros(3))), direction="GT")
    one = builder.constant(np.ones(3))
    safe = builder.one("select", (positive, x, one))
    function = builder.finish([builder.one("log", (safe,))])
    assert evaluate(gradient(function), [np.array([0.0, -1, 2])])[0].tolist() == [0, 0, 0.5]


def power_of(n: int) -> Function:
    builder, (x,) = builder_with("x")
    value = x
    for _ in range(n - 1):
        value = builder.one("multiply", (value, x))
    return builder.finish([value])


def test_gradients_of_gradients() -> None:
    function = power_of(4)
    for factor in (4 * 8, 12 * 4, 24 * 2, 24, 0):
        function = gradient(function)
        assert evaluate(function, [np.full(3, 2.0)])[0].tolist() == [factor] * 3


def test_gradient_of_chosen_parameters() -> None:
    builder, (x, y, z) = builder_with("x", "y", "z")
    function = builder.finish([builder.one("multiply", (x, y))])
    found = gradient(function, wrt=(2, 0))
    assert [v.name for v in found.parameters] == ["x", "y", "z"]
    dz, dx = evaluate(found, [np.ones(3), np.full(3, 7.0), np.ones(3)])
    assert dz.tolist() == [0, 0, 0]
    assert dx.tolist() == [7, 7, 7]
    assert z in builder.parameters


def test_a_fusion_is_differentiated_through_its_region() -> None:
    inner, (a,) = builder_with("a")
    region = inner.finish([inner.one("exponential", (a,)), inner.one("negate", (a,))])
    builder, (x,) = builder_with("x")
    y, z = builder.op("fusion", (x,), {"kind": "loops", "stopped": ""}, (region,))
    function = builder.finish([builder.one("multiply", (y, z))])
    point = np.array([0.0, 1, 2])
    (found,) = evaluate(gradient(function), [point])
    assert close(found, -np.exp(point) * (1 + point))


def test_half_precision_gradients_keep_their_dtype() -> None:
    builder = Builder(REGISTRY)
    kind = TensorType((2, 3), BF16)
    x = builder.parameter("x", kind)
    for op in ("softmax", "log_softmax"):
        (dx,) = differentiate(builder, [builder.one(op, (x,), axis=1)], [x])
        assert dx is not None
        assert dx.type == kind


def test_gradient_ops_carry_the_location_of_their_op() -> None:
    builder, (x,) = builder_with("x")
    with builder.at(Location("layer")):
        y = builder.one("tanh", (x,))
    count = len(builder.ops)
    differentiate(builder, [y], [x], [x])
    assert len(builder.ops) > count
    assert {op.location.node for op in builder.ops[count:]} == {"layer"}
