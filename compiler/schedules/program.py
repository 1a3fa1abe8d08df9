"""A fused function as a program: kernels for its fusions, buffers for its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.ir.function import UNKNOWN, Function, Op, Value
from tensorkiln.compiler.kernel.expr import Buffer
from tensorkiln.compiler.kernel.program import (
    Call,
    Program,
    Slot,
    Step,
    aligned_bytes,
    scratch_bytes,
    scratch_slots,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.assign import assign_buffers
from tensorkiln.compiler.lower.body import place_for
from tensorkiln.compiler.lower.concatenations import Joined, join_concatenations
from tensorkiln.compiler.lower.constants import Constants
from tensorkiln.compiler.lower.demand import Asked, add_needs, inside, needs
from tensorkiln.compiler.lower.demand_rules import Need
from tensorkiln.compiler.lower.dense_rows import DenseRows
from tensorkiln.compiler.lower.joining import CONTROL, Joining, inner_bytes
from tensorkiln.compiler.lower.late_updates import late_updates
from tensorkiln.compiler.lower.layout import Layout
from tensorkiln.compiler.lower.once import Once, run_once
from tensorkiln.compiler.lower.sharing import hero_of
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.schedules.dispatch import schedule
from tensorkiln.compiler.schedules.equal_groups import EqualGroups
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.layouts import AnyTiling, assign_layouts
from tensorkiln.compiler.schedules.loops import schedule_loops
from tensorkiln.compiler.schedules.open_sizes import (
    asked_by_calls,
    open_program,
    stored_densely,
)
from tensorkiln.compiler.schedules.open_tiles import sure_tiles
from tensorkiln.compiler.schedules.tiling import Tiling
from tensorkiln.compiler.sizes.bound import Bounded
from tensorkiln.runtime.errors import UnsupportedError

_BOXES = ("dynamic_slice", "dynamic_update_slice")  # they touch a box of their first operand


def lower_function(
    fused: Function,
    target: Target,
    bounded: Bounded | None = None,
    shared: Constants | None = None,
) -> Program:
    """The program of a function in which everything that computes is a fusion.

    With `bounded`, `fused` is made of its function, and the program is for all its sizes. With
    `shared`, its constants lie there, in layouts that other programs read as well; the program
    itself then has none.
    """
    constants = Constants() if shared is None else shared
    program = _lowered(fused, _Making(target, EqualGroups(), constants, bounded, {}))
    return program if shared is not None else replace(program, constants=constants.blob())


@dataclass(frozen=True, slots=True)
class _Making:
    """What a program and those of its regions have in common.

    `wanted` is what calls of open sizes need of the values of functions that have been lowered.
    """

    target: Target
    equal: EqualGroups
    constants: Constants
    bounded: Bounded | None
    wanted: dict[Value, Need]


@dataclass(frozen=True, slots=True)
class _Region:
    """What a region is asked for where sizes are open, and the parameters of a body that no trip
    changes."""

    asked: Asked | None
    invariants: Sequence[Value] = ()


def _lowered(fused: Function, making: _Making, region: _Region | None = None) -> Program:
    """The program of a function, or of a region, whose results others read.

    A region's kernels are for all sizes: the program around it restricts them to a call's.
    """
    target, equal, bounded = making.target, making.equal, making.bounded
    # Kernels that are restricted to a call's sizes have results only.
    laid_out = assign_layouts(fused, target, bounded is None, region is not None)
    invariants = region.invariants if region else ()
    once = run_once(laid_out.function, invariants) if invariants else None
    function = late_updates(once.function if once else laid_out.function)
    layouts = laid_out.layouts
    # A program for many sizes has places for the largest ones; parts lie closer for others.
    lasting = once.values if once else frozenset[Value]()
    merged = join_concatenations(function, layouts, lasting) if bounded is None else Joined()
    is_final = _finals(function)
    asked = _asked(function, making, region)
    if asked is not None:
        add_needs(making.wanted, needs(function, asked))

    def tiling_of(op: Op) -> AnyTiling | None:
        tiling = laid_out.tilings.get(op)
        if bounded is None or not isinstance(tiling, Tiling):
            return tiling
        return sure_tiles(op, tiling, target, making.wanted, bounded.capacities, bounded.least)

    def kernel_of(op: Op) -> Kernel:
        final, present = region is None and is_final(op), merged.positions.get(op, ())
        return _kernel(op, target, equal, layouts, tiling_of(op), final, present)

    dense: DenseRows | None = None
    if bounded is not None and region is None:
        dense = stored_densely(function, bounded, making.wanted, layouts, kernel_of)
        making.wanted.update(dense.counted)
    kernels = {
        op: kernel_of(op) for op in function.ops if op.name == "fusion" and not merged.is_done(op)
    }
    regions = _lowered_regions(function, making, asked)
    program = assemble(
        function, kernels, layouts, lambda group: schedule_loops(group, target), making.constants,
        regions, once, merged=merged,
    )  # fmt: skip
    if bounded is None or dense is None:
        return program
    return open_program(program, function, bounded, making.wanted, dense, target)


def _asked(function: Function, making: _Making, region: _Region | None) -> Asked | None:
    """What is needed of the results of a function, None where sizes are not open."""
    if making.bounded is None:
        return None
    return asked_by_calls(function, making.bounded) if region is None else region.asked


def _lowered_regions(
    function: Function, making: _Making, asked: Asked | None
) -> dict[Op, tuple[Program, ...]]:
    """The programs of the regions of loops and branches; a body's results take its parameters'
    memory."""
    questions = inside(function, asked) if asked is not None else {}
    found: dict[Op, tuple[Program, ...]] = {}
    for op in function.ops:
        if op.name not in CONTROL:
            continue
        own = [_Region(each) for each in questions.get(op, [None] * len(op.regions))]
        regions = list(op.regions)
        if op.name == "while":
            body = regions[1]
            pairs = zip(body.parameters, body.results, strict=True)
            own[1] = replace(own[1], invariants=[p for p, result in pairs if p is result])
            regions[1] = replace(body, aliases={k: k for k in range(len(body.parameters))})
        found[op] = tuple(map(_lowered, regions, [making] * len(regions), own))
    return found


def assemble(
    function: Function,
    kernels: Mapping[Op, Kernel],
    layouts: Mapping[Value, Layout],
    copying: Callable[[Group], Kernel],
    constants: Constants,
    regions: Mapping[Op, tuple[Program, ...]] | None = None,
    once: Once | None = None,
    in_place: bool = True,
    merged: Joined | None = None,
) -> Program:
    """The program of a function whose fusions have the given kernels, and regions programs.

    `copying` schedules the kernels that copy a value from one buffer to another.  Constants go to
    the pool `constants`, of which the program has no bytes itself.  `once` tells
    what a loop's body computes once only.  `in_place` says that kernels of updates write what
    changes only.  `merged` tells which concatenations have operands in their results; those with
    nothing left to do have no kernel.
    """
    merged = merged or Joined()
    regions = regions or {}
    memory = {op: inner_bytes(op, programs) for op, programs in regions.items()}
    memory |= {op: scratch_bytes(kernel) for op, kernel in kernels.items() if kernel.scratch}
    lasting = once.values if once else frozenset[Value]()
    plan = assign_buffers(
        function, kernels, layouts, memory, constants, in_place, lasting, merged.parts
    )
    table = _Kernels()
    first: list[Step] = []
    steps: list[Step] = [_copy(table, copying, *copy) for copy in plan.first_copies]
    join = Joining(plan, table.number)
    for op in function.ops:
        if (op.name != "fusion" and op not in regions) or merged.is_done(op):
            continue
        steps += [_copy(table, copying, *copy) for copy in plan.copies.get(op, ())]
        if op in regions:
            steps += join.steps(op, regions[op])
        elif all(v.type.elements for v in op.results) or not op.results:
            kernel = kernels[op]
            slots = tuple(plan.slots[v] for v in (*op.operands, *op.results))
            if kernel.scratch:
                slots += scratch_slots(kernel, plan.inner[op])
            run = first if once and op in once.ops else steps
            run.append(_call(table, op, kernel, slots, layouts))
    steps += [_copy(table, copying, *copy) for copy in plan.last_copies]
    return Program(
        function.name,
        tuple(table.kernels),
        tuple(steps),
        len(function.parameters) + len(function.results),
        aligned_bytes(0),
        plan.workspace_bytes,
        plan.workspace_total,
        tuple(first),
    )


class _Kernels:
    """The distinct kernels: two that differ in names of buffers only are one."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self._numbers: dict[Kernel, int] = {}
        # by identity, as comparing whole kernels takes long; an entry keeps its kernel alive
        self._known: dict[int, tuple[int, Kernel]] = {}

    def number(self, kernel: Kernel) -> int:
        """The kernel's position, adding it if it is new."""
        if id(kernel) in self._known:
            return self._known[id(kernel)][0]
        key = replace(kernel, name="")
        if key not in self._numbers:
            self._numbers[key] = len(self.kernels)
            self.kernels.append(kernel)
        self._known[id(kernel)] = self._numbers[key], kernel
        return self._numbers[key]


def _kernel(
    op: Op,
    target: Target,
    equal: EqualGroups,
    layouts: Mapping[Value, Layout],
    tiling: AnyTiling | None,
    final: bool,
    present: tuple[int, ...],
) -> Kernel:
    def make() -> Kernel:
        group = replace(group_of(op, layouts, final), present=present)
        return schedule(op.string("kind"), group, target, tiling)

    try:
        return equal.kernel(op, layouts, (tiling, final, present), make)
    except UnsupportedError as error:
        raise UnsupportedError(f"{_named(op)} cannot be compiled: {error}") from error


def _named(op: Op) -> str:
    """A fusion as a user knows it: the nodes it comes from, or its ops where none is known."""
    (region,) = op.regions
    nodes = dict.fromkeys(str(o.location) for o in region.ops if o.location != UNKNOWN)
    if not nodes:
        return f"group {region.name}"
    return f"node{'s' * (len(nodes) > 1)} {', '.join(nodes)}"


def group_of(op: Op, layouts: Mapping[Value, Layout], final: bool = False) -> Group:
    """The fusion `op` with its buffers, named by position: equal groups give equal kernels."""
    (region,) = op.regions
    inputs = tuple(place_for(v, layouts.get(v), f"in{n}") for n, v in enumerate(op.operands))
    outputs = tuple(place_for(v, layouts.get(v), f"out{n}") for n, v in enumerate(op.results))
    return Group(region.name, region, inputs, outputs, final)


def _finals(function: Function) -> Callable[[Op], bool]:
    """Whether the results of an op are results of the function, not updates of its state."""
    updated = {function.results[position] for position in function.aliases}
    final = set(function.results) - updated
    return lambda op: final.issuperset(op.results)


def _call(
    table: _Kernels,
    op: Op,
    kernel: Kernel,
    slots: tuple[Slot, ...],
    layouts: Mapping[Value, Layout],
) -> Call:
    region = op.regions[0]
    computing = [o for o in region.ops if o.name != "constant"]
    nodes = dict.fromkeys(o.location.node for o in _own(region) if o.location.node)
    costs = [REGISTRY[o.name].cost(o) for o in computing]
    moved = _bytes_moved(op)
    flops = sum(c.flops for c in costs)
    orders = tuple(layouts.get(v) for v in (*op.operands, *op.results))
    return Call(table.number(kernel), slots, tuple(nodes), flops, moved, op, orders)


def _own(region: Function) -> list[Op]:
    """The ops that read what the group is given; all but constants where there are none.

    What is made of constants alone is one for all nodes that want the same, and belongs to none.
    """
    given, own = set(region.parameters), []
    for op in region.ops:
        if not given.isdisjoint(op.operands):
            given.update(op.results)
            own.append(op)
    return own or [op for op in region.ops if op.name != "constant"]


def _bytes_moved(op: Op) -> int:
    """Bytes that a fusion reads and writes: of boxes at places known at run time, the boxes."""
    (region,) = op.regions
    moved = sum(v.type.bytes for v in op.results)
    if op.string("kind") == "update":
        update = hero_of(op).operands[1]
        moved = update.type.bytes
    for parameter in region.parameters:
        readers = [o for o in region.ops if parameter in o.operands]
        boxes = [o for o in readers if o.name in _BOXES and o.operands[0] is parameter]
        if len(boxes) < len(readers):
            moved += parameter.type.bytes
        else:
            moved += sum(o.result.type.bytes for o in boxes if o.name == "dynamic_slice")
    return moved


def _copy(
    table: _Kernels, copying: Callable[[Group], Kernel], source: Slot, to: Slot, value: Value
) -> Call:
    """A kernel that copies a value from one slot to another."""
    result = Value("copy", value.type)
    op = Op("identity", (value,), (result,))
    region = Function("copy", (value,), (op,), (result,))
    group = Group(
        "copy", region, (place_for(value, None, "in0"),), (place_for(result, None, "out0"),)
    )
    kernel = copying(group)
    moved = 2 * value.type.bytes
    return Call(table.number(kernel), (source, to), bytes=moved, layouts=(None, None), copied=value)


__all__ = ["Buffer", "assemble", "group_of", "lower_function"]
