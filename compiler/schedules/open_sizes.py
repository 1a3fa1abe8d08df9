"""A program at capacity that does what a call's sizes ask for, and no more.

Kernels get the sizes and stop where they end (compiler/kernel/restrict.py); the caller's arrays,
which are dense at the call's own sizes, are brought to capacity at the start and back at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.ir.dims import Affine, Dim, substitute, symbol_dim, told_by
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.dense import dense as densely
from tensorkiln.compiler.kernel.limits import Limit
from tensorkiln.compiler.kernel.own_reads import without_own_reads
from tensorkiln.compiler.kernel.program import (
    Call,
    Program,
    Slot,
    Step,
    align,
    map_calls,
    map_steps,
)
from tensorkiln.compiler.kernel.restrict import restrict
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.demand import Asked, asked_of
from tensorkiln.compiler.lower.demand_rules import Need, whole
from tensorkiln.compiler.lower.dense_rows import DenseRows, dense_rows, joined
from tensorkiln.compiler.lower.layout import Layout, row_major
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Loops
from tensorkiln.compiler.schedules.transfer import (
    flat_factors,
    size_expr,
    size_name,
    size_reads,
    transfer_kernel,
)
from tensorkiln.compiler.sizes.bound import Bounded
from tensorkiln.compiler.sizes.factors import Factors, is_open, prefix


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The sizes of a call: their bounds, and the slots of the arguments that tell them."""

    capacities: Mapping[str, int]
    least: Mapping[str, int]
    slots: Mapping[str, Slot]

    def of(self, dims: Sequence[Dim]) -> list[Slot]:
        """The slots that `size_reads(dims)` reads, in its order."""
        return [self.slots[symbol.name] for symbol in told_by(dims)[0]]

    def at_least(self, dims: Sequence[Dim]) -> dict[str, int]:
        """The least sizes of the symbols that `dims` use, by their names in kernels."""
        every = [symbol for some in told_by(dims) for symbol in some]
        ends = {s.name: substitute(symbol_dim(s), self.least) for s in every}
        return {size_name(name): end for name, end in ends.items() if isinstance(end, int)}


def asked_by_calls(function: Function, bounded: Bounded) -> Asked:
    """What calls ask of the fused `function`, made of that of `bounded`."""
    first = len(function.parameters) - len(bounded.symbols)
    scalars = zip(function.parameters[first:], bounded.symbols, strict=True)
    return asked_of(function, bounded.outputs, {v: Affine(((s, 1),)) for v, s in scalars})


def stored_densely(
    function: Function,
    bounded: Bounded,
    wanted: Mapping[Value, Need],
    layouts: Mapping[Value, Layout],
    kernel_of: Callable[[Op], Kernel],
) -> DenseRows:
    """Which values of the fused `function` lie at the sizes of the call (lower/dense_rows.py)."""
    ends = [
        *zip(function.parameters, bounded.inputs, strict=False),
        *zip(function.results, bounded.outputs, strict=True),
    ]
    ranges = bounded.least, bounded.capacities
    return dense_rows(function, wanted, ends, layouts, ranges, kernel_of)


def open_program(
    program: Program,
    function: Function,
    bounded: Bounded,
    wanted: Mapping[Value, Need],
    dense: DenseRows,
    target: Target,
) -> Program:
    """`program`, of the fused `function`, for calls of any sizes that `bounded` allows.

    `wanted` is what calls need of its values and of those in its regions, `dense` what
    `stored_densely` tells.
    """
    first = len(function.parameters) - len(bounded.symbols)
    sizes = _Sizes(
        bounded.capacities,
        bounded.least,
        {s.name: Slot("argument", first + k) for k, s in enumerate(bounded.symbols)},
    )
    kernels = _Kernels(program.kernels)
    steps = map_calls(program.steps, _Restricting(kernels, wanted, dense, sizes).call)

    moved: dict[Slot, Slot] = {}
    before: list[Step] = []
    after: list[Step] = []
    space = align(program.workspace_bytes)
    inward = [
        (k, v, d, True)
        for k, (v, d) in enumerate(zip(function.parameters, bounded.inputs, strict=False))
    ]
    outward = [
        (len(function.parameters) + k, v, d, False)
        for k, (v, d) in enumerate(zip(function.results, bounded.outputs, strict=True))
    ]
    for position, value, dims, into in (*inward, *outward):
        if not any(map(is_open, dims)):
            continue
        outside, inside = Slot("argument", position), Slot("workspace", space)
        space = align(space + value.type.bytes)
        moved[outside] = inside
        places = dims
        if value in dense.needs:
            places = ((joined(flat_factors(dims), bounded.least, bounded.capacities),),)
        kernel = transfer_kernel(places, value.dtype, into, sizes.capacities, target)
        ends = (outside, inside) if into else (inside, outside)
        own = sizes.of([f.extent for dim in places for f in dim])
        call = Call(kernels.number(kernel), (ends[0], *own, ends[1]), (), 0, 2 * value.type.bytes)
        (before if into else after).append(call)
    inner = map_steps(steps, lambda slot: moved.get(slot, slot), lambda k: k)
    used = replace(program, kernels=tuple(kernels.all), steps=(*before, *inner, *after))
    return _without_unused(replace(used, workspace_bytes=space))


class _Kernels:
    """The distinct kernels; layers of a model that are alike ask for the same ones again."""

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.all = list(kernels)
        self._numbers = {replace(kernel, name=""): k for k, kernel in enumerate(kernels)}
        self._restricted: dict[Hashable, int] = {}

    def number(self, kernel: Kernel) -> int:
        """The kernel's position, adding it if it is new."""
        key = replace(kernel, name="")
        if key not in self._numbers:
            self._numbers[key] = len(self.all)
            self.all.append(kernel)
        return self._numbers[key]

    def restricted(self, number: int, key: Hashable, make: Callable[[Kernel], Kernel]) -> int:
        """The number of what `make` makes of kernel `number`, by a `key` of all it depends on."""
        if (number, key) not in self._restricted:
            self._restricted[number, key] = self.number(make(self.all[number]))
        return self._restricted[number, key]


@dataclass(frozen=True)
class _Restricting:
    """Makes kernels stop where the sizes end, and find what lies densely."""

    kernels: _Kernels
    wanted: Mapping[Value, Need]
    dense: DenseRows
    sizes: _Sizes

    def call(self, call: Call) -> Call:
        """The call of a kernel that computes what is needed of its results, where that lies."""
        results = call.results
        if not results:
            return call
        operands = results if call.op is None else call.op.operands
        limits: dict[str, list[Limit | None]] = {}
        stored: dict[str, list[Limit | None]] = {}
        dims: list[Dim] = []
        kernel = self.kernels.all[call.kernel]
        places = zip(kernel.parameters, (*operands, *results), call.layouts, strict=True)
        for number, (buffer, value, layout) in enumerate(places):
            if number >= len(operands):
                need = self.wanted.get(value, whole(value))
                limits[buffer.name] = _physical(need, layout, self.sizes)
                dims += [factor.extent for dim in need for factor in dim]
            if value in self.dense.needs and call.op not in self.dense.rows:
                need = self.dense.needs[value]
                stored[buffer.name] = _physical(need, layout, self.sizes)
                dims += [factor.extent for dim in need for factor in dim]
        if not any(isinstance(dim, Affine) for dim in dims):
            return call
        buffers, lets = size_reads(dims, self.sizes.capacities)
        least = self.sizes.at_least(dims)

        def make(kernel: Kernel) -> Kernel:
            own = without_own_reads(kernel, limits) if _has_own_loops(call.op) else limits
            restricted = restrict(kernel, own, buffers, lets, least)
            return densely(restricted, stored) if stored else restricted

        kept = (tuple((name, *own) for name, own in each.items()) for each in (limits, stored))
        renewed = self.kernels.restricted(call.kernel, (*kept, lets), make)
        inputs = call.slots[: len(operands)]
        slots = (*inputs, *self.sizes.of(dims), *call.slots[len(inputs) :])
        return replace(call, kernel=renewed, slots=slots)


def _has_own_loops(op: Op | None) -> bool:
    """True if the loops are an op's own ones, which may compute in place."""
    if op is None:
        return False
    ops = op.regions[0].ops if op.name == "fusion" else (op,)
    return any(isinstance(REGISTRY[each.name].lowering, Loops) for each in ops)


def _physical(need: Need, layout: object, sizes: _Sizes) -> list[Limit | None]:
    """How many places of each dim of the buffer are needed, None for all."""
    order = layout if isinstance(layout, Layout) else row_major(len(need))
    blocks = dict(order.blocks)
    found = [_limit(need[axis], blocks.get(axis, 1), sizes) for axis in order.order]
    return found + [None] * len(order.blocks)


def _limit(dim: Factors, block: int, sizes: _Sizes) -> Limit | None:
    """The limit of a dim that lies in blocks of `block` places; partial blocks are needed."""
    if not is_open(dim):
        return None
    *outer, inner = dim
    if inner.size % block:
        outer, inner = [], prefix(dim)
    places = size_expr(inner.extent, sizes.capacities)
    blocks = ix.floordiv(ix.add(places, ix.const(block - 1)), block)
    factors = [(f.size, size_expr(f.extent, sizes.capacities)) for f in outer]
    return (*factors, (-(-inner.size // block), blocks))


def _without_unused(program: Program) -> Program:
    """The program without kernels that no call names."""
    used = sorted({call.kernel for call in program.calls})
    place = {old: new for new, old in enumerate(used)}
    steps = map_steps(program.steps, lambda slot: slot, lambda k: place[k])
    kernels = tuple(program.kernels[k] for k in used)
    return replace(program, kernels=kernels, steps=steps)
