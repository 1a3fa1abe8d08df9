"""Attention with an online softmax: scores of a block of queries and keys never leave the cache.

    parallel tasks (batch, head, block of queries) {
        top = -inf, total = 0, out = 0                      a number, a number, a row for each query
        for block of keys that a query of the block sees {
            scores = scale * q k^T + mask                   register tiles over panels of keys
            for query {
                before = top; top = max(top, scores)
                scores = exp(scores - top)
                total = total * exp(before - top) + sum of scores
                out = out * exp(before - top) }
            out += scores v }                               register tiles
        result = out / total }

Everything is summed in an order that the tiles alone decide.  Scheme: M. Milakov, N. Gimelshein,
Online normalizer calculation for softmax, 2018; T. Dao et al., FlashAttention, 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from tensorkiln.compiler.ir.function import Op
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Buffer,
    Const,
    Convert,
    Expr,
    Fma,
    Index,
    Load,
    Select,
    Unary,
)  # fmt: skip
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.body import Body
from tensorkiln.compiler.ops.composite_attention import attention_operands
from tensorkiln.compiler.schedules.attention_tiling import AttentionTile, attention_tile
from tensorkiln.compiler.schedules.group import PARALLEL_WORK, Group
from tensorkiln.compiler.schedules.strips import strips


def schedule_attention(group: Group, target: Target) -> Kernel:
    """The kernel of a group whose hero is an attention, its keys in panels."""
    op = next(op for op in group.region.ops if op.name == "attention")
    return _Attention(group, op, attention_tile(op, target), target).build()


class _Attention:
    def __init__(self, group: Group, op: Op, tile: AttentionTile, target: Target) -> None:
        self.group, self.op, self.tile, self.fma = group, op, tile, target.has_fma
        self.body: Body = group.body()
        given = attention_operands(op)
        self.q, self.k, self.v = given.q, given.k, given.v
        self.mask, self.used, self.diagonal = given.mask, given.used, given.diagonal
        self.batch, self.queries, self.heads, self.depth = self.q.shape
        self.keys, self.groups = self.k.shape[1:3]
        self.width = self.v.shape[3]
        self.dtype = op.result.dtype
        self.low = Const(-math.inf, self.dtype)
        self.zero = Const(0.0, self.dtype)
        self.wide = min(tile.vectors, -(-self.width // tile.lanes)) * tile.lanes
        self.blocks = -(-self.keys // tile.keys)
        self.count: Expr = ix.const(self.keys)  # of keys that are in use
        self.offset: Expr = ix.const(
            op.integer("offset")
        )  # how far beyond its own place a query sees

    def build(self) -> Kernel:
        body, t = self.body, self.tile
        tasks = (self.batch, self.heads, -(-self.queries // t.queries))
        count = math.prod(tasks)
        parallel = count > 1 and self.group.work >= PARALLEL_WORK
        with body.over(count, LoopKind.PARALLEL if parallel else LoopKind.SERIAL, "task") as task:
            if self.used is not None:
                number = Convert(body.read(self.used, ()), INDEX)
                within = Binary("max", ix.ZERO, Binary("min", ix.const(self.keys), number))
                self.count = body.let(within)
            if self.diagonal is not None:
                further = Convert(body.read(self.diagonal, ()), INDEX)
                self.offset = body.let(ix.add(further, self.offset))
            self.b, self.h, block = ix.unflatten(task, tasks)
            self.shared = ix.floordiv(self.h, self.heads // self.groups)
            self.first = body.let(ix.mul(block, t.queries))
            rest = ix.floordiv(ix.sub(ix.const(self.queries + t.rows - 1), self.first), t.rows)
            # A last block that is not full has fewer tiles.
            full = self.queries % t.queries == 0
            self.tiles = ix.const(t.tiles) if full else body.let(_least(ix.const(t.tiles), rest))
            self._block()
        return self.group.kernel(body)

    def _block(self) -> None:
        """One block of queries."""
        body, t = self.body, self.tile
        padded = -(-self.width // self.wide) * self.wide
        self.rows = body.local((t.queries, self.depth), self.dtype, "q")
        self.scores = body.local((t.queries, t.keys), self.dtype, "scores")
        self.out = body.local((t.queries, padded), self.dtype, "out")
        self.top = body.local((t.queries,), self.dtype, "top")
        self.total = body.local((t.queries,), self.dtype, "total")
        self._begin()
        seen = self._seen()
        blocks: Expr = ix.const(self.blocks)
        if self.op.flag("causal") or self.used is not None:
            blocks = ix.floordiv(ix.add(seen, ix.const(t.keys - 1)), t.keys)
        with body.between(ix.ZERO, blocks, self.blocks) as number:
            start = ix.mul(number, t.keys)
            here = body.let(_least(ix.const(t.keys), ix.sub(seen, start)))
            panels = body.let(ix.floordiv(ix.add(here, ix.const(t.columns - 1)), t.columns))
            with body.between(ix.ZERO, panels, t.panels) as panel:
                self._scores(start, panel)
            with self._rows() as row:
                self._soften(row, panels)
            self._mix(start, here)
        self._finish()

    def _seen(self) -> Expr:
        """How many keys the block's last query sees."""
        if not self.op.flag("causal"):
            return self.count
        last = ix.add(self.first, ix.add(ix.const(self.tile.queries), self.offset))
        return self.body.let(Binary("max", ix.ZERO, Binary("min", self.count, last)))

    def _begin(self) -> None:
        """Copies the queries, scaled, and clears what is summed up; rows that are none are zero."""
        body, t = self.body, self.tile
        scale = Const(self.op.number("scale"), self.dtype)
        with self._rows() as row:
            query = ix.add(self.first, row)

            def copy(_: int, place: Expr, exists: Expr | None) -> None:
                with ExitStack() as stack:
                    for condition in (self._exists(query), exists):
                        if condition is not None:
                            stack.enter_context(body.guard(condition))
                    element = body.read(self.q, (self.b, query, self.h, place))
                with ExitStack() as stack:
                    if exists is not None:
                        stack.enter_context(body.when(exists))
                    body.store(self.rows, (row, place), Binary("mul", element, scale))

            strips(body, self.depth, t.lanes, 1, copy)
            self._vectors(self.out.shape[1], lambda at: body.store(self.out, (row, at), self.zero))
            body.store(self.top, (row,), self.low)
            body.store(self.total, (row,), self.zero)

    def _exists(self, query: Expr) -> Expr | None:
        if self.queries % self.tile.queries == 0:
            return None
        return Binary("lt", query, ix.const(self.queries))

    def _vectors(
        self, extent: int, visit: Callable[[Expr], None], stop: Expr | None = None
    ) -> None:
        """Visits the vectors of a row of whole vectors, as far as `stop` panels if it is given."""
        body, lanes = self.body, self.tile.lanes
        with ExitStack() as stack:
            base: Expr = ix.ZERO
            count = extent // lanes
            if stop is not None:
                panel = stack.enter_context(body.between(ix.ZERO, stop, self.tile.panels))
                base, count = ix.mul(panel, self.tile.columns), self.tile.vectors
            for k in range(count):
                with body.over(lanes, LoopKind.VECTOR, "l") as lane:
                    visit(ix.add(ix.add(base, ix.const(k * lanes)), lane))

    # Products

    def _tiles(self, visit: Callable[[Expr], None]) -> None:
        """Visits the first row of each register tile of the block."""
        with self.body.between(ix.ZERO, self.tiles, self.tile.tiles) as number:
            visit(ix.mul(number, self.tile.rows))

    def _rows(self) -> AbstractContextManager[Expr]:
        """A loop over the rows of the block's tiles."""
        stop = ix.mul(self.tiles, self.tile.rows)
        return self.body.between(ix.ZERO, stop, self.tile.queries)

    def _each(self, columns: int, visit: Callable[[Index], None]) -> None:
        """Visits the vectors of a register tile: row and column."""
        body, t = self.body, self.tile
        with (
            body.over(t.rows, LoopKind.UNROLLED, "i") as i,
            body.over(columns // t.lanes, LoopKind.UNROLLED, "j") as j,
            body.over(t.lanes, LoopKind.VECTOR, "l") as lane,
        ):
            visit((i, ix.add(ix.mul(j, t.lanes), lane)))

    def _scores(self, start: Expr, panel: Expr) -> None:
        """The scores of a panel of keys."""
        t, body = self.tile, self.body
        inner = ix.mul(panel, t.columns)
        key = ix.add(start, inner)

        def tile(top: Expr) -> None:
            acc = body.local((t.rows, t.columns), self.dtype)
            self._each(t.columns, lambda at: body.store(acc, at, self.zero))
            with body.over(self.depth, hint="d") as d:

                def multiply(at: Index) -> None:
                    a = body.let(Load(self.rows, (ix.add(top, at[0]), d)))
                    b = body.read(self.k, (self.b, ix.add(key, at[1]), self.shared, d))
                    self._add_product(acc, at, a, b)

                self._each(t.columns, multiply)

            def store(at: Index) -> None:
                row = ix.add(top, at[0])
                score = self._masked(Load(acc, at), row, ix.add(key, at[1]))
                body.store(self.scores, (row, ix.add(inner, at[1])), score)

            self._each(t.columns, store)

        self._tiles(tile)

    def _add_product(self, acc: Buffer, at: Index, a: Expr, b: Expr) -> None:
        total = Load(acc, at)
        product = Fma(a, b, total) if self.fma else Binary("add", total, Binary("mul", a, b))
        self.body.store(acc, at, product)

    def _masked(self, score: Expr, row: Expr, key: Expr) -> Expr:
        """A score with the mask added, minus infinity where there is no key to see."""
        body, query = self.body, ix.add(self.first, row)
        valid: Expr | None = None
        if self.used is not None or self.keys % self.tile.columns:
            valid = Binary("lt", key, self.count)
        if self.mask is not None:
            with ExitStack() as stack:
                exists = self._exists(query) if self.mask.shape[2] > 1 else None
                for condition in (valid, exists):
                    if condition is not None:
                        stack.enter_context(body.guard(condition))
                places = (self.b, self.h, query, key)
                index = tuple(
                    place if size > 1 else ix.ZERO
                    for place, size in zip(places, self.mask.shape, strict=True)
                )
                score = Binary("add", score, body.read(self.mask, index))
        if self.op.flag("causal"):
            sees = Binary("le", key, ix.add(query, self.offset))
            valid = sees if valid is None else Binary("and", valid, sees)
        return score if valid is None else Select(valid, score, self.low)

    def _mix(self, start: Expr, count: Expr) -> None:
        """Adds the weighted values of a block of keys."""
        t, body, columns = self.tile, self.body, self.wide
        with body.over(self.out.shape[1] // columns, hint="e") as panel:
            first = ix.mul(panel, columns)

            def tile(top: Expr) -> None:
                acc = body.local((t.rows, columns), self.dtype)

                def place(at: Index) -> Index:
                    return (ix.add(top, at[0]), ix.add(first, at[1]))

                self._each(columns, lambda at: body.store(acc, at, Load(self.out, place(at))))
                with body.between(ix.ZERO, count, t.keys) as key:

                    def multiply(at: Index) -> None:
                        column = ix.add(first, at[1])
                        a = body.let(Load(self.scores, (ix.add(top, at[0]), key)))
                        with ExitStack() as stack:
                            if self.width % columns:
                                inside = Binary("lt", column, ix.const(self.width))
                                stack.enter_context(body.guard(inside))
                            index = (self.b, ix.add(start, key), self.shared, column)
                            b = body.read(self.v, index)
                        self._add_product(acc, at, a, b)

                    self._each(columns, multiply)
                self._each(columns, lambda at: body.store(self.out, place(at), Load(acc, at)))

            self._tiles(tile)

    # The softmax

    def _soften(self, row: Expr, panels: Expr) -> None:
        """Turns a row of scores into powers, with the greatest score so far taken off."""
        body, t = self.body, self.tile
        highest = body.local((t.vectors, t.lanes), self.dtype, "most")
        self._over_copies(lambda at: body.store(highest, at, self.low))

        def raise_(at: Expr) -> None:
            copy = (ix.floordiv(ix.mod(at, t.columns), t.lanes), ix.mod(at, t.lanes))
            score = Load(self.scores, (row, at))
            body.store(highest, copy, _greater(Load(highest, copy), score))

        self._vectors(t.keys, raise_, panels)
        before = body.let(Load(self.top, (row,)))
        found = self._folded(highest, _greater)
        top = body.let(_greater(before, found))
        # A row that has seen no key yet must not take minus infinity from minus infinity.
        none = Binary("eq", top, self.low)
        base = body.let(Select(none, self.zero, top))
        sums = body.local((t.vectors, t.lanes), self.dtype, "sums")
        self._over_copies(lambda at: body.store(sums, at, self.zero))

        def power(at: Expr) -> None:
            copy = (ix.floordiv(ix.mod(at, t.columns), t.lanes), ix.mod(at, t.lanes))
            score = Load(self.scores, (row, at))
            found = body.let(Unary("exp", Binary("sub", score, base)))
            body.store(self.scores, (row, at), found)
            body.store(sums, copy, Binary("add", Load(sums, copy), found))

        self._vectors(t.keys, power, panels)
        total = self._folded(sums, lambda a, b: Binary("add", a, b))
        if self.blocks == 1:
            body.store(self.total, (row,), total)
            return
        factor = body.let(Unary("exp", Binary("sub", before, base)))
        scaled = Binary("mul", Load(self.total, (row,)), factor)
        body.store(self.total, (row,), Binary("add", scaled, total))
        body.store(self.top, (row,), top)

        def rescale(at: Expr) -> None:
            body.store(self.out, (row, at), Binary("mul", Load(self.out, (row, at)), factor))

        self._vectors(self.out.shape[1], rescale)

    def _over_copies(self, visit: Callable[[Index], None]) -> None:
        for copy in range(self.tile.vectors):
            with self.body.over(self.tile.lanes, LoopKind.VECTOR, "l") as lane:
                visit((ix.const(copy), lane))

    def _folded(self, buffer: Buffer, fold: Callable[[Expr, Expr], Expr]) -> Expr:
        """All elements of a buffer of vectors folded into one, halving each time."""
        body, t = self.body, self.tile
        for copy in range(1, t.vectors):
            with body.over(t.lanes, LoopKind.VECTOR, "l") as lane:
                here, there = Load(buffer, (ix.ZERO, lane)), Load(buffer, (ix.const(copy), lane))
                body.store(buffer, (ix.ZERO, lane), fold(here, there))
        lanes = t.lanes
        while lanes > 1:
            lanes //= 2
            with body.over(lanes, LoopKind.VECTOR, "l") as lane:
                here = Load(buffer, (ix.ZERO, lane))
                there = Load(buffer, (ix.ZERO, ix.add(lane, ix.const(lanes))))
                body.store(buffer, (ix.ZERO, lane), fold(here, there))
        return body.let(Load(buffer, (ix.ZERO, ix.ZERO)))

    def _finish(self) -> None:
        """Divides and stores the rows that are queries."""
        body, t, output = self.body, self.tile, self.group.outputs[0]
        with self._rows() as row, ExitStack() as stack:
            query = ix.add(self.first, row)
            exists = self._exists(query)
            if exists is not None:
                stack.enter_context(body.when(exists))
            inverse: Expr = Const(1.0, self.dtype)
            if self.keys:  # a sum over no keys at all is zero
                inverse = body.let(Binary("div", inverse, Load(self.total, (row,))))

            def store(_: int, column: Expr, inside: Expr | None) -> None:
                with ExitStack() as inner:
                    if inside is not None:
                        inner.enter_context(body.when(inside))
                    value = Binary("mul", Load(self.out, (row, column)), inverse)
                    index = output.index((self.b, query, self.h, column))
                    body.store(output.buffer, index, value)

            strips(body, self.width, t.lanes, 1, store)


def _greater(a: Expr, b: Expr) -> Expr:
    """The greater one; a NaN may be lost, but the powers it is subtracted from have it too."""
    return Select(Binary("lt", a, b), b, a)


def _least(a: Expr, b: Expr) -> Expr:
    return Binary("min", a, b)
