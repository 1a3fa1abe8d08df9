"""Concatenations whose rows are few and long, shared out in chunks."""

from __future__ import annotations

import pytest
from compiled.check import check

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, U8, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.program import print_program
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.program import lower_function


def joined(shape: tuple[int, ...], dim: int, sizes: tuple[int, ...], dtype: DType) -> Function:
    """Tensors of `shape`, but for their size of `dim`, one after the other."""
    b = Builder(REGISTRY, "net")
    parts = [
        b.parameter(f"x{k}", TensorType((*shape[:dim], size, *shape[dim + 1 :]), dtype))
        for k, size in enumerate(sizes)
    ]
    return b.finish([b.one("concatenate", parts, dimension=dim)], ["y"])


CASES = {
    "one image": joined((1, 0, 7, 5), 1, (3, 0, 11, 1), F32),
    "some images": joined((3, 0, 7, 5), 1, (4, 9), F32),
    "many rows": joined((67, 0), 1, (65, 64, 3), F32),
    "bytes": joined((1, 0, 13), 1, (17, 40), U8),
    "the outermost dim": joined((0, 33), 0, (5, 6), F32),
}


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_values(name: str, small: bool) -> None:
    check(CASES[name], small=small)


def test_one_image_is_shared_out() -> None:
    function = optimize_function(joined((1, 0, 64, 64), 1, (16, 33), F32))
    text = print_program(lower_function(function, target_named("x86-64-v4")))
    assert text.count("parallel") == 2
