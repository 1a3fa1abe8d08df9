"""Chooses the kernel family of a fused group: the one table from kinds to schedules."""

from __future__ import annotations

from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.ops.integer_products import PRODUCTS
from tensorkiln.compiler.passes.fuse_kinds import CONTRACTIONS
from tensorkiln.compiler.schedules.accumulate import schedule_accumulate
from tensorkiln.compiler.schedules.attention import schedule_attention
from tensorkiln.compiler.schedules.columns import schedule_columns, takes_columns
from tensorkiln.compiler.schedules.concatenate import schedule_concatenate
from tensorkiln.compiler.schedules.conv_tiling import ConvTiling
from tensorkiln.compiler.schedules.convolution import schedule_convolution
from tensorkiln.compiler.schedules.custom import schedule_custom
from tensorkiln.compiler.schedules.filter_gradient import schedule_filter_gradient
from tensorkiln.compiler.schedules.filter_tiling import FilterTiling
from tensorkiln.compiler.schedules.group import Group, dependence_levels
from tensorkiln.compiler.schedules.grouped import GroupedTiling, schedule_grouped
from tensorkiln.compiler.schedules.image_rows import schedule_image_rows
from tensorkiln.compiler.schedules.integer_products import schedule_integer_product
from tensorkiln.compiler.schedules.integer_tiling import IntegerTiling
from tensorkiln.compiler.schedules.layouts import AnyTiling
from tensorkiln.compiler.schedules.loops import schedule_loops
from tensorkiln.compiler.schedules.matmul import schedule_matmul
from tensorkiln.compiler.schedules.matmul_few_rows import schedule_few_rows
from tensorkiln.compiler.schedules.matmul_panels import schedule_panels
from tensorkiln.compiler.schedules.matmul_staged import schedule_staged
from tensorkiln.compiler.schedules.planar import PlanarTiling, schedule_planar
from tensorkiln.compiler.schedules.recurrent import schedule_recurrent
from tensorkiln.compiler.schedules.rows import schedule_rows
from tensorkiln.compiler.schedules.tiling import Tiling
from tensorkiln.compiler.schedules.transposes import schedule_transposes
from tensorkiln.compiler.schedules.turned_results import in_order_of
from tensorkiln.compiler.schedules.update import schedule_update
from tensorkiln.compiler.schedules.winograd import schedule_winograd
from tensorkiln.runtime.errors import UnsupportedError


def schedule(
    kind: str,
    group: Group,
    target: Target,
    tiling: AnyTiling | None = None,
) -> Kernel:
    """The kernel of a group of the given kind; `tiling` is what layout assignment chose."""
    if isinstance(tiling, Tiling):
        hero = next(op for op in group.region.ops if op.name == "dot_general")
        family = schedule_staged if tiling.staged else schedule_matmul
        family = schedule_panels if tiling.panels_staged else family
        family = schedule_few_rows if tiling.few is not None else family
        return family(in_order_of(group, hero.result), hero, tiling, target)
    if isinstance(tiling, ConvTiling):
        hero = next(op for op in group.region.ops if op.name == "convolution")
        return schedule_convolution(group, hero, tiling, target)
    if isinstance(tiling, PlanarTiling):
        hero = next(op for op in group.region.ops if op.name == "convolution")
        return schedule_planar(group, hero, tiling, target)
    if isinstance(tiling, GroupedTiling):
        hero = next(op for op in group.region.ops if op.name == "convolution")
        return schedule_grouped(group, hero, tiling, target)
    if isinstance(tiling, IntegerTiling):
        hero = next(op for op in group.region.ops if op.name in PRODUCTS)
        return schedule_integer_product(group, hero, tiling)
    if isinstance(tiling, FilterTiling):
        hero = next(op for op in group.region.ops if op.name == "convolution")
        return schedule_filter_gradient(group, hero, tiling, target)
    if kind == "rows" and _lanes_along_result(group):
        kind = "reduce"
    match kind:
        case "loops":
            return (
                schedule_transposes(group, target)
                or schedule_image_rows(group, target)
                or schedule_loops(group, target)
            )
        case "rows":
            return schedule_rows(group, target)
        case "reduce" if takes_columns(group):
            return schedule_columns(group, target)
        case "contract":
            hero = next(op for op in group.region.ops if op.name in CONTRACTIONS)
            return schedule_accumulate(in_order_of(group, hero.result), target)
        case "reduce":
            return schedule_accumulate(group, target)
        case "concatenate":
            return schedule_concatenate(group, target)
        case "update":
            return schedule_update(group, target)
        case "winograd":
            return schedule_winograd(group, target)
        case "attention":
            return schedule_attention(group, target)
        case "recurrent":
            return schedule_recurrent(group, target)
        case "custom":
            return schedule_custom(group, target)
    raise UnsupportedError(f"no kernel family for groups of kind {kind}")


def _lanes_along_result(group: Group) -> bool:
    """True for reductions of tensors whose innermost dim in memory is one that is kept."""
    layouts = [p.layout for p in group.inputs if not p.layout.is_row_major]
    first = group.reductions[0]
    alone = all(v.shape == first.results[0].shape for v in group.region.results)
    levels = dependence_levels(group.region.ops, group.reductions)
    return bool(layouts) and alone and max(levels.values()) == 1
