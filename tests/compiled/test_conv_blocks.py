"""Convolutions cut into blocks of rows, all panels of channels of a block after each other."""

from __future__ import annotations

import pytest
from compiled.check import check, check_interpreted, small_limits

from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Expr, Var, children
from tensorkiln.compiler.kernel.program import print_program
from tensorkiln.compiler.kernel.stmt import Store, walk
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand_windows import convolution
from tensorkiln.compiler.pipeline import lower, optimize_function
from tensorkiln.compiler.schedules.conv_tiling import ConvTiling, balanced_blocks
from tensorkiln.compiler.schedules.layouts import assign_layouts

TARGET = target_named("x86-64-v4")


def net(
    image: tuple[int, ...],
    kernel: tuple[int, ...],
    dtype: DType = F32,
    padding: int = 0,
    strides: tuple[int, ...] | None = None,
) -> Function:
    """A convolution, channels first; a depthwise one, whose kernel has one channel, last."""
    b = Builder(REGISTRY)
    x = b.parameter("x", TensorType(image, dtype))
    weights = b.parameter("weights", TensorType(kernel, dtype))
    pads = [(padding, padding)] * (len(image) - 2)
    spatial = "HW" if len(image) == 4 else "W"
    depthwise = len(kernel) == 4 and kernel[:3] == (3, 3, 1)
    orders = ("NHWC", "HWIO") if depthwise else (f"NC{spatial}", f"OI{spatial}")
    groups = image[-1] if depthwise else 1
    y = convolution(b, x, weights, *orders, strides=strides, padding=pads, feature_groups=groups)
    return b.finish([y])


CASES = {
    "pointwise": net((1, 32, 13, 11), (48, 32, 1, 1)),
    "pointwise, many panels": net((2, 16, 17, 14), (200, 16, 1, 1)),
    "pointwise, channels last": net((1, 24, 13, 11), (24, 24, 1, 1)),
    "steps": net((1, 32, 15, 15), (32, 32, 1, 1), strides=(2, 2)),
    "three by three": net((1, 16, 14, 14), (16, 16, 3, 3), padding=1),
    "one dim": net((1, 16, 97), (32, 16, 1)),
    "depthwise": net((1, 14, 13, 48), (3, 3, 1, 48), padding=1),
    "depthwise, steps": net((2, 15, 13, 40), (3, 3, 1, 40), padding=1, strides=(2, 2)),
    "a last tile of fewer places": net((1, 32, 17, 13), (32, 32, 1, 1)),
    "f64": net((1, 16, 13, 11), (24, 16, 1, 1), F64),
}


def tilings(function: Function) -> list[ConvTiling]:
    """What layout assignment chose for the convolutions."""
    laid_out = assign_layouts(optimize_function(function), TARGET)
    return [t for t in laid_out.tilings.values() if isinstance(t, ConvTiling)]


@pytest.mark.parametrize("name", CASES)
def test_blocks_cover_the_image(name: str) -> None:
    function = CASES[name]
    with small_limits():
        (tiling,) = tilings(function)
    assert tiling.rows_first
    assert tiling.row_blocks > 1
    check(function, small=True)
    check(function, "x86-64-v3", small=True)


def test_kernels_write_nothing_outside() -> None:
    check_interpreted(net((1, 16, 5, 7), (32, 16, 1, 1)), small=True)
    check_interpreted(net((1, 5, 7, 16), (3, 3, 1, 16), padding=1), small=True)


def test_weights_larger_than_the_image_are_shared_out() -> None:
    (tiling,) = tilings(net((1, 256, 7, 7), (512, 256, 1, 1)))
    assert not tiling.rows_first


@pytest.mark.parametrize(
    ("image", "outputs", "tile"),
    [((7, 7), 512, (13, 2)), ((5, 3), 300, (8, 2)), ((14, 14), 512, (6, 4)), ((1, 3), 30, (3, 2))],
)
def test_many_weights_and_few_places_take_high_tiles(
    image: tuple[int, int], outputs: int, tile: tuple[int, int]
) -> None:
    function = net((1, 32, *image), (outputs, 32, 1, 1))
    (tiling,) = tilings(function)
    assert (tiling.rows, tiling.vectors) == tile
    check(function, "x86-64-v4")


@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4"])
def test_left_numbers_of_two_vectors_come_from_memory(target: str) -> None:
    printed = print_program(
        lower(net((1, 32, 9, 9), (32, 32, 3, 3), padding=1), target_named(target)).program
    )
    assert ("again(" in printed) == (target == "x86-64-v4")


def test_two_threads_read_half_of_small_images_weights_each() -> None:
    function = net((1, 64, 7, 7), (32, 64, 3, 3), padding=1)
    (tiling,) = tilings(function)
    assert (tiling.vectors, tiling.rows) == (1, 28)
    check(function, "x86-64-v4")
    check(function, "x86-64-v3")


def test_last_tile_can_have_a_block_of_its_own() -> None:
    function = net((1, 64, 7, 7), (96, 64, 3, 3), padding=1)
    (tiling,) = tilings(function)
    assert (tiling.rows, tiling.row_blocks) == (14, 4)
    assert "parallel task1 in 0..12 {" in print_program(lower(function, TARGET).program)
    check(function, "x86-64-v4")


def test_places_are_counted_not_divided() -> None:
    """No address divides a place of the walk over all of space: one division a place is slow."""
    with small_limits():
        program = lower(net((1, 16, 13, 11), (48, 16, 1, 1)), TARGET).program
    kernel = next(k for k in program.kernels if k.name == "convolution")
    stores = [s for s in walk(kernel.body) if isinstance(s, Store) and s.buffer.space == "global"]
    assert stores
    for store in stores:
        terms, _ = ix.linear(ix.flatten(store.index, store.buffer.strides))
        divided = [t for t in terms if not isinstance(t, Var)]
        assert all(_variables(t) == {"task1"} for t in divided)


def _variables(expr: Expr) -> set[str]:
    if isinstance(expr, Var):
        return {expr.name}
    return set().union(*(_variables(child) for child in children(expr)))


@pytest.mark.parametrize("steps", [1, 2, 7, 13, 33, 56, 112, 349])
@pytest.mark.parametrize("panels", [1, 2, 3, 9])
@pytest.mark.parametrize("most", [0, 1, 3, 8, 32])
def test_two_threads_have_the_same_to_do(steps: int, panels: int, most: int) -> None:
    blocks = balanced_blocks(steps, panels, most)
    assert 1 <= blocks <= max(1, min(steps, most))
    if min(steps, most) < 8:
        return
    size = -(-steps // blocks)
    tasks = [min(size, steps - at) for at in range(0, steps, size) for _ in range(panels)]
    half = sum(tasks[: (len(tasks) + 1) // 2])
    assert max(half, sum(tasks) - half) <= 0.6 * sum(tasks)
