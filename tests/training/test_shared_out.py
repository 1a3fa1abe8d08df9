"""Products of the sizes that training has are cut into parts that two threads can share fairly."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.schedules.tiling import Tiling, choose_tiling

RANGES = 8  # that the pool cuts a loop into for two threads
FAIR = 1.1


def _product(batch: int, m: int, n: int, k: int) -> Op:
    b = Builder(REGISTRY)
    outer = (batch,) if batch > 1 else ()
    dims = tuple(range(len(outer)))
    x = b.parameter("x", TensorType((*outer, m, k), F32))
    y = b.parameter("y", TensorType((*outer, k, n), F32))
    result = b.one(
        "dot_general", (x, y), lhs_batch=dims, rhs_batch=dims,
        lhs_contracting=(len(outer) + 1,), rhs_contracting=(len(outer),),
    )  # fmt: skip
    return b.finish([result]).ops[0]


def _tasks(tiling: Tiling, batch: int, m: int, n: int) -> list[int]:
    """Register tiles of each task, in order."""
    tiles, panels = -(-m // tiling.rows), -(-n // tiling.columns)
    rows = [min(tiling.block_tiles, tiles - t) for t in range(0, tiles, tiling.block_tiles)]
    width = -(-panels // tiling.column_blocks)
    columns = [min(width, panels - p) for p in range(0, panels, width)]
    return [r * c for r in rows for c in columns] * batch


@pytest.mark.parametrize(
    ("batch", "m", "n", "k"),
    [
        (1, 128, 512, 784),
        (1, 128, 512, 512),
        (1, 512, 512, 128),
        (1, 784, 512, 128),
        (1, 128, 512, 156),
        (1, 128, 3136, 1024),
        (1, 1024, 1024, 256),
        (1, 256, 512, 784),
        (32, 128, 64, 128),
    ],
    ids=str,
)
@pytest.mark.parametrize("target", ["x86-64-v4", "x86-64-v3"])
def test_half_of_the_ranges_are_half_of_the_work(
    batch: int, m: int, n: int, k: int, target: str
) -> None:
    tiling = choose_tiling(_product(batch, m, n, k), target_named(target), False)
    assert tiling is not None
    work = _tasks(tiling, batch, m, n)
    count = min(RANGES, len(work))
    cuts = [len(work) * c // count for c in range(count + 1)]
    parts = [sum(work[a:b]) for a, b in pairwise(cuts)]
    halves = sum(parts[: count // 2]), sum(parts[count // 2 :])
    assert max(halves) <= FAIR * sum(work) / 2, work
