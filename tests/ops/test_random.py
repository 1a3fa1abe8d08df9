"""Random numbers against what TensorFlow 2.21 (compat.v1, CPU) draws.

Values of two runs of one op in one session, of op seed `SEED2` under the default graph seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dims import Symbol, symbol_dim
from tensorkiln.compiler.ir.dtypes import BF16, F16, F32, F64, I32, I64, DType
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops import REGISTRY, Builder, random
from tensorkiln.compiler.ops.rng import STATE
from tensorkiln.runtime.errors import TypeRuleError, UnsupportedError

SEED, SEED2 = 87654321, 1  # TensorFlow's default graph seed, and seed=1 of the op


def draw(make: Callable[[Builder, Value], Value], runs: int = 2, seed: int = SEED) -> list[Array]:
    builder = Builder(REGISTRY)
    state = builder.parameter("state", STATE)
    value = make(builder, state)
    elements = value.type.elements
    function = builder.finish([value, random.next_state(builder, state, elements)])
    held = random.initial_state(seed, SEED2 if seed == SEED else 3)
    found = []
    for _ in range(runs):
        array, held = evaluate(function, [held])
        found.append(array)
    return found


UNIFORM: dict[DType, Any] = {
    F32: [
        [0.2390373945236206, 0.92039954662323, 0.05051243305206299, 0.4957444667816162,
         0.8355222940444946, 0.026470422744750977, 0.08811306953430176],
        [0.038484930992126465, 0.907341480255127, 0.9381697177886963, 0.49623215198516846,
         0.8388330936431885, 0.08477365970611572, 0.06334316730499268],
    ],
    F64: [
        [0.9122999234504989, 0.4040997484619626, 0.6841790844248057, 0.704905089841523,
         0.15071409333057018],
        [0.46962542034469856, 0.8302223771424777, 0.19978434954463142, 0.7227866955685169,
         0.31917957070057],
    ],
    F16: [
        [0.1943359375, 0.9130859375, 0.7978515625, 0.138671875, 0.5986328125],
        [0.8955078125, 0.7509765625, 0.1474609375, 0.943359375, 0.5791015625],
    ],
    BF16: [
        [0.5546875, 0.3046875, 0.3828125, 0.109375, 0.7890625],
        [0.1640625, 0.0078125, 0.1796875, 0.546875, 0.6328125],
    ],
}  # fmt: skip

NORMAL: dict[DType, Any] = {
    F32: [
        [-0.8113182187080383, 1.4845987558364868, 0.06532937288284302, -2.442704200744629,
         0.09924840182065964, 0.5912243127822876, 0.5928229689598083],
        [-1.403475284576416, 2.131955623626709, 0.008457508869469166, -0.3571796417236328,
         0.30106601119041443, 0.5107311606407166, 2.312509298324585],
    ],
    F64: [
        [0.24282754598505307, -0.35299821810996557, -0.8365077914900015, -0.24356901971324732,
         1.9100682898663162],
        [-1.0765795484551872, 0.593814984566485, -1.768552115008662, -0.30537994266922913,
         1.3770535505950037],
    ],
    F16: [
        [-0.8115234375, 1.484375, 0.0653076171875, -2.443359375, 0.0992431640625],
        [-0.36328125, -0.072021484375, -0.552734375, 0.1029052734375, -0.3955078125],
    ],
}  # fmt: skip

TRUNCATED: dict[DType, Any] = {
    F32: [
        [-0.8113182187080383, 1.4845987558364868, 0.06532937288284302, 0.09924840182065964,
         0.6396970748901367, 1.6108711957931519, 0.16353562474250793, -1.5157055854797363,
         1.358777403831482, 0.5417413115501404, -0.8600988388061523],
        [-0.4934983551502228, -1.057506799697876, -0.8663179278373718, -1.9345728158950806,
         0.4291682839393616, 0.03209855034947395, 0.1194523423910141, -1.5528370141983032,
         0.6484342217445374, 0.7730331420898438, -0.19388964772224426],
    ],
    F64: [
        [0.24282754598505307, -0.35299821810996557, -0.16554790468414687, 0.34224683233230957,
         -0.012115088506327797, -0.7023301545951528, -1.0235360261015545],
        [-0.05166481320640266, -1.534087440650118, -0.5315370381376878, -0.23338870390066918,
         1.2686406358577906, 0.0548793014122281, -1.0258557228003278],
    ],
    F16: [
        [-0.8115234375, 1.484375, 0.0653076171875, 0.0992431640625, 0.6396484375,
         1.611328125, 0.16357421875],
        [-1.4033203125, 0.00846099853515625, -0.357177734375, 0.301025390625, -1.6337890625,
         0.2420654296875, 0.515625],
    ],
}  # fmt: skip


@pytest.mark.parametrize("dtype", UNIFORM)
def test_uniform_has_tensorflows_bits(dtype: DType) -> None:
    expected = UNIFORM[dtype]
    found = draw(lambda b, s: random.uniform(b, s, (len(expected[0]),), dtype))
    assert [a.dtype for a in found] == [dtype.numpy] * 2
    assert [a.astype(np.float64).tolist() for a in found] == expected


def test_a_graph_seed_takes_the_place_of_the_default() -> None:
    (found,) = draw(lambda b, s: random.uniform(b, s, (3,)), runs=1, seed=54)
    assert found.tolist() == [0.8439692258834839, 0.7604457139968872, 0.5431187152862549]


@pytest.mark.parametrize(
    ("dtype", "high", "expected"),
    [
        (I32, 100, [[67, 54, 28, 47, 62, 9, 1], [28, -1, 75, 82, 24, 34, 21]]),
        (
            I64,
            10**12,
            [
                [466032529806, 227674122710, 925885512346, 874635386709, 479127662337],
                [961421832373, 88117210484, 366946620939, 326691499524, 509312350938],
            ],
        ),
    ],
)
def test_uniform_integers_are_tensorflows(dtype: DType, high: int, expected: Any) -> None:
    def make(builder: Builder, state: Value) -> Value:
        low, top = builder.constant(-5, dtype), builder.constant(high, dtype)
        return random.uniform_integers(builder, state, (len(expected[0]),), low, top)

    assert [a.tolist() for a in draw(make)] == expected


def _agree(found: list[Array], expected: Any, dtype: DType) -> None:
    # Logarithm, sine and cosine may differ from TensorFlow's in the last place.
    allowed = {F16: 2e-3, F32: 1e-6, F64: 1e-14}[dtype]
    for got, want in zip(found, expected, strict=True):
        assert got.dtype == dtype.numpy
        np.testing.assert_allclose(got.astype(np.float64), want, rtol=0, atol=allowed)


@pytest.mark.parametrize("dtype", NORMAL)
def test_normal_is_tensorflows(dtype: DType) -> None:
    expected = NORMAL[dtype]
    found = draw(lambda b, s: random.normal(b, s, (len(expected[0]),), dtype))
    _agree(found, expected, dtype)


@pytest.mark.parametrize("dtype", TRUNCATED)
def test_truncated_normal_is_tensorflows(dtype: DType) -> None:
    expected = TRUNCATED[dtype]
    found = draw(lambda b, s: random.truncated_normal(b, s, (len(expected[0]),), dtype))
    _agree(found, expected, dtype)


def test_truncated_normal_stays_within_two_deviations_and_never_falls_short() -> None:
    (found,) = draw(lambda b, s: random.truncated_normal(b, s, (100, 200)), runs=1)
    assert np.abs(found).max() < 2
    assert np.count_nonzero(found) == found.size
    assert found.std() == pytest.approx(0.88, abs=0.01)


def test_shapes_of_several_dims_are_filled_in_order() -> None:
    (flat,) = draw(lambda b, s: random.normal(b, s, (24,)), runs=1)
    (shaped,) = draw(lambda b, s: random.normal(b, s, (2, 3, 4)), runs=1)
    assert shaped.shape == (2, 3, 4)
    assert shaped.ravel().tolist() == flat.tolist()


def test_uniform_takes_symbolic_shapes_and_normal_does_not() -> None:
    builder = Builder(REGISTRY)
    batch = symbol_dim(Symbol("batch"))
    state = builder.parameter("state", STATE)
    assert random.uniform(builder, state, (batch, 3), F64).type.shape == (batch, 3)
    with pytest.raises(UnsupportedError, match="batch"):
        random.normal(builder, state, (batch, 3))


@pytest.mark.parametrize(
    ("shape", "row_blocks", "constraint"),
    [((4,), -1, "C3"), ((), 2, "C3"), ((2, 9), 2, "C4")],
)
def test_wrong_layouts_of_bits_are_rejected(
    shape: tuple[int, ...], row_blocks: int, constraint: str
) -> None:
    builder = Builder(REGISTRY)
    state = builder.parameter("state", STATE)
    with pytest.raises(TypeRuleError, match=constraint):
        random.bits(builder, state, shape, row_blocks)
