"""Layout assignment: which values lie in memory other than row-major, and who rearranges them.

Contract: takes a fused function, returns one that computes the same with copies (`loops` fusions of
`identity`) put in where an operand must be rearranged at run time, and the layout of every value
that is not row-major.  A constant is rearranged at compile time and costs nothing at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.lower.sharing import overlaid
from tensorkiln.compiler.ops.integer_products import PRODUCTS
from tensorkiln.compiler.passes.fuse_kinds import CONTRACTIONS, WINOGRAD
from tensorkiln.compiler.schedules.attention_tiling import attention_layouts
from tensorkiln.compiler.schedules.conv_tiling import (
    ConvShape,
    ConvTiling,
    channel_layout,
    choose_conv_tiling,
    conv_shape,
    kernel_layout,
)  # fmt: skip
from tensorkiln.compiler.schedules.filter_tiling import (
    FilterTiling,
    channels_last,
    choose_filter_tiling,
    has_lanes,
)  # fmt: skip
from tensorkiln.compiler.schedules.grouped import GroupedTiling, grouped_tiling
from tensorkiln.compiler.schedules.image_lines import image_lines
from tensorkiln.compiler.schedules.inherited import crossed_dims, inherited_layout
from tensorkiln.compiler.schedules.integer_tiling import IntegerTiling, choose_integer_tiling
from tensorkiln.compiler.schedules.matmul_panels import right_reads
from tensorkiln.compiler.schedules.op_lists import makers, needed
from tensorkiln.compiler.schedules.planar import PlanarTiling, choose_planar_tiling
from tensorkiln.compiler.schedules.recurrent_tiling import recurrent_layouts
from tensorkiln.compiler.schedules.tiling import (
    Tiling,
    choose_tiling,
    column_dim,
    panel_tiling,
    row_dim,
    rows_serve,
    staged_tiling,
)  # fmt: skip
from tensorkiln.compiler.schedules.winograd_tiling import winograd_layouts

AnyTiling: TypeAlias = (
    Tiling | ConvTiling | FilterTiling | GroupedTiling | IntegerTiling | PlanarTiling
)


@dataclass(frozen=True)
class LaidOut:
    """A fused function with its layouts and the tilings chosen on the way."""

    function: Function
    layouts: Mapping[Value, Layout]
    tilings: Mapping[Op, AnyTiling]


def assign_layouts(
    function: Function, target: Target, staging: bool = True, repeated: bool = False
) -> LaidOut:
    """Chooses layouts for the operands of contractions (see the module's docstring).

    `staging`: products may pack operands in their scratch memory, unless `repeated` in a loop.
    """
    return _Assigner(function, target, staging, repeated).run()


class _Assigner:
    def __init__(self, function: Function, target: Target, staging: bool, repeated: bool) -> None:
        self.function, self.target, self.staging = function, target, staging
        self.right_reads = right_reads(function) if staging and not repeated else None
        self.producers = function.producers()
        self.layouts: dict[Value, Layout] = {}
        self.tilings: dict[Op, AnyTiling] = {}
        self.copies: dict[tuple[Value, Layout], Value] = {}
        self.ops: list[Op] = []
        self.row_major = set(function.results) | {
            v for op in function.ops if _wants_row_major(op, target) for v in op.operands
        }
        self.crossed = crossed_dims(function)

    def run(self) -> LaidOut:
        for op in self.function.ops:
            if op.name != "fusion":
                self.ops.append(op)
            elif op.string("kind") == "contract":
                self._contraction(op)
            elif op.string("kind") in _PACKED:
                (region,) = op.regions
                name, packed = _PACKED[op.string("kind")]
                hero = next(o for o in region.ops if o.name == name)
                wanted = packed(hero, region.producers(), self.target)
                self._append(self._repacked(op, region, hero, wanted))
            elif op.string("kind") == "winograd":
                self._winograd(op)
            else:
                layout = inherited_layout(op, self.layouts, self.crossed)
                self._append(op if layout is None else self._laid_out(op, layout))
        # A constant that is only read in another order is not stored in its own.
        ops = needed(self.ops, self.function.results)
        function = replace(self.function, ops=tuple(ops))
        return LaidOut(function, self.layouts, self.tilings)

    def _append(self, op: Op) -> None:
        """Adds a fusion, followed by row-major copies of results that somebody needs so."""
        renamed: dict[Value, Value] = {}
        for value in op.results:
            layout = self.layouts.get(value)
            if layout is None or value not in self.row_major:
                continue
            other = Value(f"{value.name}_l{len(self.ops)}", value.type)
            renamed[value] = other
            self.layouts[other] = layout
            del self.layouts[value]
        if not renamed:
            self.ops.append(op)
            return
        self.ops.append(replace(op, results=tuple(renamed.get(v, v) for v in op.results)))
        if op in self.tilings:
            self.tilings[self.ops[-1]] = self.tilings.pop(op)
        for value, other in renamed.items():
            self.ops.append(copy_fusion((other,), (), other, value))

    def _laid_out(self, op: Op, layout: Layout) -> Op:
        self.layouts.update((value, layout) for value in op.results)
        return op

    def _convolution(self, op: Op, region: Function, hero: Op) -> None:
        shape = conv_shape(hero)
        if shape is None:
            self.ops.append(op)
            return
        lanes = self.target.lanes(hero.result.dtype.bits)
        filter_tiling = choose_filter_tiling(shape, self.target, hero.result.dtype.bits)
        if filter_tiling is not None:
            self._filter_gradient(op, region, hero, shape, filter_tiling)
            return
        planar = choose_planar_tiling(shape, self.target, hero.result.dtype.bits)
        plain = grouped_tiling(hero, self.target) or (planar if self._stays_row_major(op) else None)
        if plain is not None:
            self.tilings[op] = plain
            self.ops.append(op)
            return
        left, _, out = shape.positions
        channels = shape.inputs * shape.groups
        last = left[1] == len(left) - 1
        blocked = channels % lanes == 0 and shape.inputs % lanes in (0, 1) and not last
        tiling = choose_conv_tiling(shape, self.target, hero.result.dtype.bits, blocked)
        if tiling is None:
            self.ops.append(op)
            return
        source, kernel = hero.operands
        padding = next((o for o in region.ops if o.result is source and o.name == "pad"), None)
        source = source if padding is None else padding.operands[0]
        wanted = {kernel: kernel_layout(shape, tiling)}
        present = self.layouts.get(
            dict(zip(region.parameters, op.operands, strict=True)).get(source, source)
        )
        if blocked and present is None:
            wanted[source] = channel_layout(left, channels, lanes)
        renewed = self._repacked(op, region, hero, wanted)
        self.tilings[renewed] = replace(tiling, image=image_lines(op, hero, shape, self.producers))
        if out[1] != len(out) - 1:
            layout = channel_layout(out, shape.outputs * shape.groups, lanes)
            self._laid_out(renewed, layout)
        self._append(renewed)

    def _stays_row_major(self, op: Op) -> bool:
        """True if everything comes as the caller has it, and goes to the caller."""
        comes = not any(v in self.layouts for v in op.operands)
        return comes and all(v in self.row_major for v in op.results)

    def _filter_gradient(
        self, op: Op, region: Function, hero: Op, shape: ConvShape, tiling: FilterTiling
    ) -> None:
        kernel = hero.operands[1]
        outer = dict(zip(region.parameters, op.operands, strict=True)).get(kernel, kernel)
        channels = shape.positions[1]
        wanted: dict[Value, Layout] = {}
        if not has_lanes(self.layouts.get(outer), kernel.type.rank, channels[0], tiling.lanes):
            wanted[kernel] = channels_last(channels)
        renewed = self._repacked(op, region, hero, wanted)
        self.tilings[renewed] = replace(tiling, image=image_lines(op, hero, shape, self.producers))
        self._append(renewed)

    def _contraction(self, op: Op) -> None:
        (region,) = op.regions
        hero = next(o for o in region.ops if o.name in CONTRACTIONS)
        if hero.name in PRODUCTS:
            self._integer_product(op, region, hero)
            return
        if hero.name == "convolution":
            self._convolution(op, region, hero)
            return
        constant = self._constant(op, hero.operands[1]) is not None
        tiling = choose_tiling(hero, self.target, constant)
        if tiling is not None and self._is_transformed(hero.operands[0]):
            # It comes in rows, lies in a near cache, and is read by few panels of columns.
            tiling = replace(tiling, pack_left=False)
        if tiling is None:
            self.ops.append(op)
            return
        if tiling.pack_left and self._lies_in_rows(op, hero) and rows_serve(hero, tiling):
            tiling = replace(tiling, pack_left=False)
        staged = staged_tiling(hero, tiling) if self._may_stage(op, hero, tiling) else None
        if staged is not None:
            self.tilings[op] = staged
            self._append(op)
            return
        if self._may_stage_panels(op, hero):
            tiling = panel_tiling(hero, tiling)
        wanted: dict[Value, Layout] = {}
        if tiling.pack_right and not tiling.panels_staged:
            wanted[hero.operands[1]] = panels(hero, 1, tiling)
        if tiling.pack_left:
            wanted[hero.operands[0]] = panels(hero, 0, tiling)
        renewed = self._repacked(op, region, hero, wanted)
        self.tilings[renewed] = tiling
        self._append(renewed)

    def _integer_product(self, op: Op, region: Function, hero: Op) -> None:
        left, right = hero.operands
        outer = dict(zip(region.parameters, op.operands, strict=True))
        # A literal has no memory to read bytes from.
        tiling = None
        if left in outer and right in outer:
            constant = self._constant(op, right) is not None
            present = self.layouts.get(outer[left])
            tiling = choose_integer_tiling(hero, self.target, constant, present)
        if tiling is None:
            self.ops.append(op)
            return
        wanted = {right: tiling.weights}
        if tiling.bytes_ is not None:
            wanted[left] = tiling.bytes_
        renewed = self._repacked(op, region, hero, wanted)
        self.tilings[renewed] = tiling
        if tiling.result is not None:
            self._laid_out(renewed, tiling.result)
        self._append(renewed)

    def _winograd(self, op: Op) -> None:
        """Reads and writes images in blocks of channels."""
        (region,) = op.regions
        hero = next(o for o in region.ops if o.name in WINOGRAD)
        outer = dict(zip(region.parameters, op.operands, strict=True))
        wanted, layout = winograd_layouts(
            hero,
            self.target.lanes(hero.result.dtype.bits),
            lambda value: outer.get(value, value) in self.layouts,
        )
        renewed = self._repacked(op, region, hero, wanted) if wanted else op
        self._append(renewed if layout is None else self._laid_out(renewed, layout))

    def _may_stage(self, op: Op, hero: Op, tiling: Tiling) -> bool:
        """True if tasks could pack both operands, which lie as they come, from where they are."""
        (region,) = op.regions
        outer = dict(zip(region.parameters, op.operands, strict=True))
        sources = [outer.get(value) for value in hero.operands]
        plain = all(v is not None and v not in self.layouts for v in sources)
        # Partial sums of a depth lie in the result.
        alone = len(op.results) == 1 and op.results[0].dtype == hero.result.dtype
        packed = tiling.pack_left and tiling.pack_right
        constant = any(v is not None and self._constant(op, v) is not None for v in sources)
        return self.staging and plain and alone and packed and not constant

    def _may_stage_panels(self, op: Op, hero: Op) -> bool:
        """True if tasks could pack the right operand, which this product alone reads so."""
        (region,) = op.regions
        source = dict(zip(region.parameters, op.operands, strict=True)).get(hero.operands[1])
        if self.right_reads is None or source is None or source in self.layouts:
            return False
        alone = len(op.results) == 1 and op.results[0].dtype == hero.result.dtype
        once = self.right_reads[source, hero.ints("rhs_contracting")] == 1
        return alone and once and self._constant(op, source) is None

    def _lies_in_rows(self, op: Op, hero: Op) -> bool:
        """True if a contraction's left operand is computed before it and stored row-major."""
        (region,) = op.regions
        outer = dict(zip(region.parameters, op.operands, strict=True)).get(hero.operands[0])
        computed = outer is not None and self._constant(op, outer) is None
        return computed and outer not in self.layouts

    def _is_transformed(self, value: Value) -> bool:
        producer = self.producers.get(value)
        return producer is not None and any(
            o.name == "winograd_input" for region in producer.regions for o in region.ops
        )

    def _constant(self, op: Op, value: Value) -> Op | None:
        """The constant behind an operand of a fusion, if it is one."""
        producer = self.producers.get(value)
        return producer if producer is not None and producer.name == "constant" else None

    def _repacked(self, op: Op, region: Function, hero: Op, wanted: Mapping[Value, Layout]) -> Op:
        """`op` reading rearranged copies of the hero's operands named in `wanted`."""
        inner = {v: o for o in region.ops for v in o.results}
        operands = dict(zip(region.parameters, op.operands, strict=True))
        moved: dict[Value, Value] = {}
        for value, layout in wanted.items():
            chain = makers(value, inner)
            moved[value] = self._copy(value, chain, operands, layout)
        # A pad in front of a convolution reads in its place.
        readers = (hero, *(o for o in region.ops if o.name == "pad"))
        ops = [
            replace(o, operands=tuple(moved.get(v, v) for v in o.operands)) if o in readers else o
            for o in region.ops
        ]
        ops = needed(ops, region.results)
        used = dict.fromkeys(v for o in ops for v in o.operands)
        made = {v for o in ops for v in o.results}
        parameters = tuple(v for v in used if v not in made)
        region = replace(region, parameters=parameters, ops=tuple(ops))
        outer = {**{v: v for v in moved.values()}, **operands}
        renewed = replace(op, operands=tuple(outer[p] for p in parameters), regions=(region,))
        return renewed

    def _copy(
        self, value: Value, chain: list[Op], operands: Mapping[Value, Value], layout: Layout
    ) -> Value:
        """The value `value`, which `chain` makes from the fusion's operands, in `layout`."""
        source = operands.get(value)
        if source is not None and (source, layout) in self.copies:
            return self.copies[source, layout]
        result = Value(f"{value.name}_p{len(self.copies)}", value.type)
        self.layouts[result] = layout
        constant = (
            None
            if source is None
            else self._constant(chain[0] if chain else Op("", (), ()), source)
        )
        if constant is not None:
            self.ops.append(replace(constant, results=(result,)))
        else:
            made = {v for o in chain for v in o.results}
            needed = dict.fromkeys(v for o in chain for v in o.operands if v not in made)
            inner = tuple(needed) if chain else (value,)
            sources = tuple(operands[v] for v in inner)
            self.ops.append(copy_fusion(inner, tuple(chain), value, result, sources))
        if source is not None:
            self.copies[source, layout] = result
        return result


def _wants_row_major(op: Op, target: Target) -> bool:
    """True for ops that name, carry or write over their operands' memory, and for grouped ones."""
    if op.name != "fusion" or overlaid(op):
        return True
    heroes = (o for o in op.regions[0].ops if o.name == "convolution")
    return any(grouped_tiling(hero, target) is not None for hero in heroes)


# Kinds of groups whose hero says itself how its operands should lie.
_Layouts: TypeAlias = Callable[[Op, Mapping[Value, Op], Target], Mapping[Value, Layout]]
_PACKED: Mapping[str, tuple[str, _Layouts]] = {
    "recurrent": ("recurrence", recurrent_layouts),
    "attention": ("attention", attention_layouts),
}


def copy_fusion(
    parameters: tuple[Value, ...],
    chain: tuple[Op, ...],
    value: Value,
    result: Value,
    sources: tuple[Value, ...] | None = None,
) -> Op:
    """A fusion that makes `value` by `chain` from its parameters and stores it as `result`."""
    identity = Op("identity", (value,), (result,))
    region = Function("pack" if chain else "rearrange", parameters, (*chain, identity), (result,))
    attributes = {"kind": "loops", "stopped": "another layout"}
    return Op("fusion", sources or parameters, (result,), attributes, (region,))


def panels(op: Op, which: int, tiling: Tiling) -> Layout:
    """Operand `which` of a dot_general cut into panels: batch, panel, contracted dim, tile."""
    side = ("lhs", "rhs")[which]
    free = column_dim(op) if which else row_dim(op)
    size = tiling.panel * tiling.lanes if which else tiling.rows
    order = (*op.ints(f"{side}_batch"), free, *op.ints(f"{side}_contracting"))
    return Layout(order, ((free, size),))
