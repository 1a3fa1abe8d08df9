"""Into which parts ranges are cut, and which tiles are there at every size of a part."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dims import Affine, Symbol
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Const, Expr, Var
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import matmul
from tensorkiln.compiler.schedules.open_tiles import sure_tiles
from tensorkiln.compiler.schedules.tiling import Tiling, Turns
from tensorkiln.compiler.sizes.factors import Factor, Factors, closed
from tensorkiln.compiler.sizes.ranges import MOST, parts

RANGES = [
    [("batch", 1, 64)],
    [("batch", 0, 1)],
    [("batch", 3, 20)],
    [("tokens", 2, 1000)],
    [("batch", 1, 4), ("tokens", 1, 128)],
    [("batch", 2, 3), ("tokens", 2, 9)],
    [("batch", 1, 64), ("tokens", 1, 130)],
    [("a", 1, 7), ("b", 1, 9), ("c", 1, 90)],
]


@pytest.mark.parametrize("ranges", RANGES, ids=str)
def test_every_size_is_in_one_part(ranges: list[tuple[str, int, int]]) -> None:
    found = parts([Symbol(*given) for given in ranges])
    assert len(found) <= MOST
    for point in itertools.product(*(range(low, high + 1) for _, low, high in ranges)):
        holds = [
            all(
                part[name][0] <= size <= part[name][1]
                for (name, _, _), size in zip(ranges, point, strict=True)
            )
            for part in found
        ]
        assert sum(holds) == 1, point


def test_size_one_and_few_rows_are_parts_of_their_own() -> None:
    cut = [part["batch"] for part in parts([Symbol("batch", 1, 600)])]
    assert cut[:4] == [(1, 1), (2, 4), (5, 14), (15, 28)]
    assert cut[4:] == [(29, 56), (57, 112), (113, 224), (225, 600)]
    assert [p["batch"] for p in parts([Symbol("batch", 1, 128)])][-1] == (57, 128)


BATCH, TOKENS = Affine(((Symbol("batch", 2, 4), 1),)), Affine(((Symbol("tokens", 2, 28), 1),))
CAPACITIES = {"batch": 4, "tokens": 56}


def tiling_for(rows: Factors, least: dict[str, int]) -> Tiling:
    count = 1
    for factor in rows:
        count *= factor.size
    result = Value("y", TensorType((count, 64), F32))
    builder = Builder(REGISTRY, "product")
    sides = [
        builder.parameter(n, TensorType(k, F32)) for n, k in (("a", (count, 8)), ("b", (8, 64)))
    ]
    region = builder.finish([matmul(builder, *sides)])
    op = Op("fusion", (), (result,), regions=(region,))
    tiling = Tiling(14, 2, 16, 768, 8, 2, False, True, 2)
    return sure_tiles(
        op, tiling, target_named("host"), {result: (rows, closed(64))}, CAPACITIES, least
    )


@pytest.mark.parametrize(
    ("least", "turns"),
    [({"batch": 2, "tokens": 2}, Turns(2, 2, 1)), ({"batch": 3, "tokens": 15}, Turns(3, 2, 2))],
    ids=str,
)
def test_tiles_that_are_there_at_any_size(least: dict[str, int], turns: Turns) -> None:
    found = tiling_for((Factor(4, BATCH), Factor(28, TOKENS)), least)
    assert found.turns == turns
    assert found.tiles is None


@pytest.mark.parametrize(
    ("rows", "tiles"),
    [
        (closed(28), None),
        ((Factor(56, TOKENS),), lambda batch, tokens: -(-tokens // 14)),
        # Tiles of 14 rows that begin anywhere in a sequence of 9: the first rows that hold all.
        ((Factor(4, BATCH), Factor(9, TOKENS)), lambda batch, tokens: -(-9 * batch // 14)),
    ],
    ids=("closed", "one", "prefix"),
)
def test_tiles_that_a_call_has(rows: Factors, tiles: Callable[[int, int], int] | None) -> None:
    found = tiling_for(rows, {"batch": 2, "tokens": 2})
    assert found.turns is None
    assert (found.tiles is None) == (tiles is None)
    if tiles is None or found.tiles is None:
        return
    for batch, tokens in ((2, 2), (3, 14), (3, 15), (4, 28)):
        values = {"size.batch": batch, "size.tokens": tokens}
        assert _value(found.tiles, values) == tiles(batch, tokens)


def _value(expr: Expr, values: Mapping[str, int]) -> int:
    match expr:
        case Const(value):
            return int(value)
        case Var(name):
            return values[name]
        case Binary(op, a, b):
            left, right = _value(a, values), _value(b, values)
            return {"add": left + right, "mul": left * right, "floordiv": left // right}[op]
    raise AssertionError(expr)
