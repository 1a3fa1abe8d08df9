"""Row-resident chains share out rows between threads, whatever dims stand before them."""

from __future__ import annotations

import pytest
from compiled.check import check

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Const
from tensorkiln.compiler.kernel.stmt import For, LoopKind
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import lower


def softmax(*shape: int) -> Function:
    """Softmax of the last dim."""
    b = Builder(REGISTRY, "rows")
    x = b.parameter("x", TensorType(shape, F32))
    return b.finish([b.one("softmax", (x,), axis=len(shape) - 1)], ["y"])


def trips(function: Function) -> list[tuple[int, LoopKind]]:
    """The loops around a row, from the outermost to the one that is shared out."""
    program = lower(function, target_named("x86-64-v3")).program
    (body,) = (program.kernels[call.kernel].body for call in program.calls)
    found: list[tuple[int, LoopKind]] = []
    while len(body) == 1 and isinstance(body[0], For):
        loop = body[0]
        assert isinstance(loop.stop, Const)
        found.append((int(loop.stop.value), loop.kind))
        body = () if loop.kind is LoopKind.PARALLEL else loop.body
    return found


SERIAL, PARALLEL = LoopKind.SERIAL, LoopKind.PARALLEL


@pytest.mark.parametrize(
    ("shape", "loops"),
    [
        ((197, 768), [(197, PARALLEL)]),
        ((1, 197, 768), [(197, PARALLEL)]),
        ((1, 1, 97, 1, 768), [(97, PARALLEL)]),
        # Two and one would be uneven.
        ((3, 200, 300), [(3, SERIAL), (200, PARALLEL)]),
        ((8, 200, 300), [(8, PARALLEL)]),
        ((1, 3, 1, 40000), [(3, PARALLEL)]),
        # Thirty rows of one of the two are not worth waking threads.
        ((2, 30, 40), [(2, PARALLEL)]),
        ((1, 5, 7), [(5, SERIAL)]),
    ],
)
def test_which_rows_are_shared_out(
    shape: tuple[int, ...], loops: list[tuple[int, LoopKind]]
) -> None:
    assert trips(softmax(*shape)) == loops


@pytest.mark.parametrize("shape", [(1, 13, 5), (1, 1, 7), (3, 9, 17), (2, 0, 5), (1, 1, 1, 11, 3)])
def test_values(shape: tuple[int, ...]) -> None:
    check(softmax(*shape), small=True)
