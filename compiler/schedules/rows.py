"""Row-resident chains: reductions over the innermost dims and what depends on them, a row at a time.

A group of this family has reductions that all fold the same dims of tensors of one shape, and
elementwise ops between and after them (softmax, layer norm, and any plain reduction of the
innermost dims).  The row stays in cache from stage to stage:

    parallel rows {
        stage 0: fold the row into accumulators, several vectors at once; combine; scalars
        stage 1: the same for reductions that need the scalars of stage 0 ...
        last: walk the row once more and store the results that have the row's shape }

A value that several stages need and that is expensive is kept in a row buffer (or in the result
it is anyway stored to); a cheap one is computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Expr, Index, Load
from tensorkiln.compiler.kernel.instructions import prefetch
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.record import Element, Reduction
from tensorkiln.compiler.schedules.accumulate import bind_states, step
from tensorkiln.compiler.schedules.group import (
    PARALLEL_WORK,
    Group,
    dependence_levels,
    reduction_of,
)  # fmt: skip
from tensorkiln.compiler.schedules.strips import strips

COPIES = 4
EVEN_ROWS = 8  # so many rows are shared out about evenly; three would be two and one
FETCH_BYTES = 1 << 20  # operands at least this large come from beyond the second-level cache
ROW_BYTES = 1 << 15  # largest row buffer on the stack
EXPENSIVE = frozenset(
    [
        "exponential",
        "exponential_minus_one",
        "log",
        "log_plus_one",
        "logistic",
        "tanh",
        "tan",
        "sine",
        "cosine",
        "erf",
        "power",
        "divide",
        "sqrt",
        "rsqrt",
        "cbrt",
        "atan2",
        "remainder",
    ]
)


class Rows:
    """What a schedule knows of one row-resident group, and the schedule for a CPU."""

    def __init__(self, group: Group, target: Target) -> None:
        self.group = group
        self.body = group.body()
        self.lanes = group.lanes(target.vector_bits)
        self.first = group.reductions[0]
        operand = self.first.operands[0]
        self.shape = operand.shape
        self.dims = reduced_dims(self.first)
        self.kept = tuple(d for d in range(len(self.shape)) if d not in self.dims)
        self.extents = tuple(self.shape[d] for d in self.dims)
        self.levels = dependence_levels(group.region.ops, group.reductions)
        self.row: Index = ()
        self.ahead = False  # this walk fetches the next row, which memory needs time for

    def index(self, inner: Index) -> Index:
        """The index in the row's shape from the row's and the inner index."""
        places: dict[int, Expr] = dict(zip(self.kept, self.row, strict=True))
        places.update(zip(self.dims, inner, strict=True))
        return tuple(places[d] for d in range(len(self.shape)))

    def build(self) -> Kernel:
        """The kernel: a loop over rows, in it a walk for each stage and a last one."""
        group, body = self.group, self.body
        shared = self._shared_dim()
        with ExitStack() as stack:
            for dim in self.kept:
                kind = LoopKind.PARALLEL if dim == shared else LoopKind.SERIAL
                size = self.shape[dim]
                # A loop of one trip around the shared one would be in its way.
                row = ix.ZERO if size == 1 else stack.enter_context(body.over(size, kind, "r"))
                self.row = (*self.row, row)
            stages = sorted({self.levels[op.results[0]] for op in group.reductions})
            kept = self._kept_values()
            for walk, stage in enumerate(stages):
                self.ahead = walk == 1
                ops = [op for op in group.reductions if self.levels[op.results[0]] == stage]
                self._fold(ops, [v for v in kept if self._stage(v) == stage])
            self.ahead = len(stages) == 1
            self._finish()
        return group.kernel(body)

    def _shared_dim(self) -> int | None:
        """The dim whose rows threads share out: the outermost that gives them about even parts, each
        worth waking them for."""
        work = self.group.work
        wide: list[int] = []
        for dim in self.kept:
            if work < PARALLEL_WORK:
                break
            if self.shape[dim] >= EVEN_ROWS:
                return dim
            if self.shape[dim] > 1:
                wide.append(dim)
            work //= max(1, self.shape[dim])
        return wide[0] if wide else None

    def _stage(self, value: Value) -> int:
        """The stage in which a kept value is first computed."""
        return self.levels.get(value, 0) + 1

    def _kept_values(self) -> list[Value]:
        """Row-shaped values that are read in more than one stage and are worth keeping."""
        readers: dict[Value, set[int]] = {}
        last = max(self.levels.values()) + 1
        for op in self.group.region.ops:
            at = self._reader_stage(op, last)
            for value in op.operands:
                readers.setdefault(value, set()).add(at)
        for value in self.group.region.results:
            readers.setdefault(value, set()).add(last)
        size = 1
        for extent in self.extents:
            size *= extent
        kept: list[Value] = []
        for op in self.group.region.ops:
            value = op.results[0]
            if value.shape != self.shape or not isinstance(REGISTRY[op.name].lowering, Element):
                continue
            fits = size * value.dtype.bytes <= ROW_BYTES
            if fits and op.name in EXPENSIVE and self._needed(value, last):
                kept.append(value)
        return kept

    def _reader_stage(self, op: Op, last: int) -> int:
        return self.levels[op.results[0]] if reduction_of(op) is not None else last

    def _needed(self, value: Value, last: int) -> bool:
        """True if stages other than the first that computes it need `value`."""
        stages: set[int] = set()
        reached = {value}
        for op in self.group.region.ops:
            if not reached.intersection(op.operands):
                continue
            if reduction_of(op) is not None:
                stages.add(self.levels[op.results[0]])
            else:
                reached.update(op.results)
        if reached.intersection(self.group.region.results):
            stages.add(last)
        return len(stages) > 1

    def _fold(self, ops: list[Op], kept: list[Value]) -> None:
        """Folds the row by `ops` into scalars, storing the values `kept` on the way."""
        body = self.body
        states = {op: self._accumulators(op) for op in ops}
        rows = {value: self._row_buffer(value) for value in kept}
        self._initialise(states)

        def visit(outer: Index) -> Callable[[int, Expr, Expr | None], None]:
            def vector(copy: int, position: Expr, exists: Expr | None) -> None:
                inner = (*outer, position)
                self._fetch_ahead(inner)
                for value, buffer in rows.items():
                    self._keep(value, buffer, inner, exists)
                lane = _lane_of(position, self.lanes)
                for op, buffers in states.items():
                    step(body, op, buffers, (ix.const(copy), lane), self.row, inner, exists)

            return vector

        with ExitStack() as stack:
            outer = tuple(stack.enter_context(body.over(s, hint="k")) for s in self.extents[:-1])
            strips(body, self.extents[-1], self.lanes, COPIES, visit(outer))
        for value, buffer in rows.items():
            self._bind_row(value, buffer)
        for op, buffers in states.items():
            self._combine(op, buffers)
        bind_states(body, states, (ix.ZERO, ix.ZERO))
        for op in ops:
            for value in op.results:
                scalar = body.read(value, self.row)
                body.bound[value] = _constant_reader(scalar)
        self._row_wide_values(max(self.levels[op.results[0]] for op in ops))

    def _row_wide_values(self, level: int) -> None:
        """Computes what is one scalar a row here, rather than again in every vector."""
        shape = tuple(self.shape[d] for d in self.kept)
        for op in self.group.region.ops:
            element = isinstance(REGISTRY[op.name].lowering, Element) and op.name != "constant"
            if element and op.result.shape == shape and 0 < self.levels[op.result] <= level:
                self.body.read(op.result, self.row)

    def _accumulators(self, op: Op) -> list[Buffer]:
        initial = _reduction(op).initial(op)
        return [self.body.local((COPIES, self.lanes), e.dtype) for e in initial]

    def _initialise(self, states: dict[Op, list[Buffer]]) -> None:
        for copy in range(COPIES):
            with self.body.over(self.lanes, LoopKind.VECTOR, "l") as lane:
                for op, buffers in states.items():
                    for buffer, value in zip(buffers, _reduction(op).initial(op), strict=True):
                        self.body.store(buffer, (ix.const(copy), lane), value)

    def _row_buffer(self, value: Value) -> Buffer:
        padded = -(-self.extents[-1] // self.lanes) * self.lanes
        return self.body.local((*self.extents[:-1], padded), value.dtype, "row")

    def _keep(self, value: Value, buffer: Buffer, inner: Index, exists: Expr | None) -> None:
        with ExitStack() as stack:
            if exists is not None:
                stack.enter_context(self.body.guard(exists))
            element = self.body.read(value, self.index(inner))
        self.body.store(buffer, inner, element)

    def _bind_row(self, value: Value, buffer: Buffer) -> None:
        body, dims = self.body, self.dims

        def read(index: Index) -> Expr:
            return body.let(Load(buffer, tuple(index[d] for d in dims)))

        body.bound[value] = read

    def _combine(self, op: Op, buffers: list[Buffer]) -> None:
        """Folds all accumulators of `op` into lane 0 of copy 0, halving each time."""
        copies = COPIES
        while copies > 1:
            copies //= 2
            for copy in range(copies):
                with self.body.over(self.lanes, LoopKind.VECTOR, "l") as lane:
                    other = (ix.const(copy + copies), lane)
                    self._join(op, buffers, (ix.const(copy), lane), other)
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            with self.body.over(lanes, LoopKind.VECTOR, "l") as lane:
                there = (ix.ZERO, ix.add(lane, ix.const(lanes)))
                self._join(op, buffers, (ix.ZERO, lane), there)

    def _join(self, op: Op, buffers: list[Buffer], here: Index, there: Index) -> None:
        body = self.body
        a = tuple(body.let(Load(buffer, here)) for buffer in buffers)
        b = tuple(body.let(Load(buffer, there)) for buffer in buffers)
        for buffer, value in zip(buffers, _reduction(op).combine(body, op, a, b), strict=True):
            body.store(buffer, here, value)

    def _finish(self) -> None:
        """Stores the results: scalars once, row-shaped ones by walking the row."""
        body, group = self.body, self.group
        pairs = list(zip(group.region.results, group.outputs, strict=True))
        for value, output in pairs:
            if value.shape != self.shape:
                index = self._row_index(value.shape)
                body.store(output.buffer, output.index(index), body.read(value, index))
        wide = [(v, o) for v, o in pairs if v.shape == self.shape]
        if not wide:
            return

        def visit(outer: Index) -> Callable[[int, Expr, Expr | None], None]:
            def vector(copy: int, position: Expr, exists: Expr | None) -> None:
                index = self.index((*outer, position))
                self._fetch_ahead((*outer, position))
                with ExitStack() as stack:
                    if exists is not None:
                        stack.enter_context(body.when(exists))
                    elements = [body.read(v, index) for v, _ in wide]
                    for (_, output), element in zip(wide, elements, strict=True):
                        streaming = group.streams and exists is None
                        body.store(output.buffer, output.index(index), element, streaming)

            return vector

        with ExitStack() as stack:
            outer = tuple(stack.enter_context(body.over(s, hint="k")) for s in self.extents[:-1])
            strips(body, self.extents[-1], self.lanes, COPIES, visit(outer))

    def _fetch_ahead(self, inner: Index) -> None:
        """Prefetches the same place of the next row from every operand of the row's shape."""
        if not self.ahead or not self.kept:
            return
        last = self.shape[self.kept[-1]] - 1
        following = Binary("min", ix.add(self.row[-1], ix.const(1)), ix.const(last))
        here = self.row
        self.row = (*here[:-1], following)
        index = self.index(inner)
        self.row = here
        for value, place in zip(self.group.region.parameters, self.group.inputs, strict=True):
            large = value.type.bytes >= FETCH_BYTES
            if value.shape == self.shape and large and place.layout.is_row_major:
                self.body.emit(prefetch(place.buffer, index))

    def _row_index(self, shape: tuple[int, ...]) -> Index:
        """The index of a row-wide scalar in `shape`: the kept dims, perhaps with ones between."""
        if len(shape) == len(self.kept):
            return self.row
        return tuple(
            self.row[self.kept.index(d)] if d in self.kept else ix.ZERO for d in range(len(shape))
        )


def schedule_rows(group: Group, target: Target) -> Kernel:
    """The kernel of a row-resident group."""
    return Rows(group, target).build()


def reduced_dims(op: Op) -> tuple[int, ...]:
    """The operand's dims that a reduce or arg_reduce folds."""
    if op.name == "arg_reduce":
        return (op.integer("dimension"),)
    return op.ints("dimensions")


def _lane_of(position: Expr, lanes: int) -> Expr:
    """The lane number within an index that walks vector by vector."""
    return ix.mod(position, lanes)


def _reduction(op: Op) -> Reduction:
    reduction = reduction_of(op)
    assert reduction is not None
    return reduction


def _constant_reader(scalar: Expr) -> Callable[[Index], Expr]:
    return lambda index: scalar
