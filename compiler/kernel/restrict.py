"""Kernels that stop where a call's sizes end.

A kernel for arrays at capacity is given, for dims of its results, how many places of them a call
needs.  Loops then end before the first iteration that would store beyond these only; statements
that do so are put under a condition.  Stores within an iteration may still go beyond, by less than
a tile: the arrays have room for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.accesses import (
    allocated,
    bound,
    mentioned,
    read_by,
    stores,
    uses,
    written_by,
)
from tensorkiln.compiler.kernel.balance import Rows, balanced
from tensorkiln.compiler.kernel.branches import exclude, least_under
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Buffer,
    Const,
    Expr,
    Index,
    Var,
)
from tensorkiln.compiler.kernel.limits import Limit, gaps, least_place, prefix
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Block,
    For,
    If,
    Kernel,
    Let,
    LoopKind,
    Stmt,
    walk,
)
from tensorkiln.compiler.kernel.substitute import (
    fresh_name,
    names_of,
    substitute_expr,
)
from tensorkiln.compiler.kernel.trim import height_of, row_loops, trimmed

Limits = Mapping[str, Sequence[Limit | None]]  # of a buffer's dims: how many places are needed
_LARGEST_CHOICE = 4  # bounds of one loop that are compared when it starts


def restrict(
    kernel: Kernel,
    limits: Limits,
    sizes: Sequence[Buffer],
    lets: Sequence[Let],
    least: Mapping[str, int],
) -> Kernel:
    """The kernel with loops that end at `limits`, expressions of the names that `lets` make.

    `sizes` are the scalars which these read, new inputs behind the others; `least` is the smallest
    number that each name can be.
    """
    body = _Restriction(kernel, limits, least).block(kernel.body, {})
    inputs = kernel.parameters[: len(kernel.parameters) - kernel.outputs]
    return replace(
        kernel, parameters=(*inputs, *sizes, *kernel.written), body=(*lets, *body)
    )  # fmt: skip


class _Restriction:
    def __init__(self, kernel: Kernel, limits: Limits, least: Mapping[str, int]) -> None:
        self.kernel = kernel
        self.limits = limits
        self.least = least
        self.taken = names_of(kernel)
        self.conditions: list[Expr] = []  # of the branches around the current statement

    def block(self, block: Block, named: Mapping[str, Expr]) -> Block:
        """The block restricted; `named` are the lets around it."""
        names = dict(named)
        made: list[Stmt] = []
        for section in _sections(block):
            done: list[Stmt] = []
            for stmt in section:
                if isinstance(stmt, Let) and stmt.value.dtype is INDEX:
                    names[stmt.var.name] = substitute_expr(stmt.value, names)
                done.append(self.stmt(stmt, names))
            tile = self._tile(section, tuple(done), names)
            made += self._guarded(section, tuple(done), names) if tile is None else tile
        return tuple(made)

    def stmt(self, stmt: Stmt, named: Mapping[str, Expr]) -> Stmt:
        """The statement restricted."""
        if not isinstance(stmt, For | If):
            return stmt
        if isinstance(stmt, If):
            self.conditions.append(stmt.condition)
            body = self.block(stmt.body, named)
            self.conditions.pop()
            return replace(stmt, body=body)
        body = self.block(stmt.body, named)
        restricted = replace(stmt, body=self._in_gaps(stmt, body, named))
        if stmt.kind not in (LoopKind.SERIAL, LoopKind.PARALLEL) or stmt.step != 1:
            return restricted
        stop = self._stop(stmt, named)
        if stop is None:
            return restricted
        stop = Binary("min", stmt.stop, stop)
        if stmt.kind is LoopKind.PARALLEL:
            stop = Binary("max", stop, ix.ZERO)
        return replace(restricted, stop=stop)

    def _stop(self, loop: For, named: Mapping[str, Expr]) -> Expr | None:
        """The first iteration from which on nothing is stored that is needed; None if unknown.

        What it stores in buffers of its own is needed by itself only.
        """
        inner = {*bound(loop.body), loop.var.name}
        private = set(allocated(loop.body))
        found: list[Expr] = []
        for buffer, index, names in stores(loop.body, dict(named)):
            if buffer.name in private:
                continue
            limits = self.limits.get(buffer.name)
            if limits is None:
                return None
            stops = [
                stop
                for place, limit in zip(index, limits, strict=True)
                if limit is not None
                and (stop := _first(substitute_expr(place, names), loop.var, inner, prefix(limit)))
                is not None
            ]
            if not stops:
                return None
            if stops[0] not in found:
                found.append(stops[0])
        if not found or len(found) > _LARGEST_CHOICE:
            return None
        most = found[0]
        for other in found[1:]:
            most = Binary("max", most, other)
        return most

    def _in_gaps(self, loop: For, done: Block, named: Mapping[str, Expr]) -> Block:
        """A loop's body under the condition that places of its own are not between those needed."""
        if loop.kind not in (LoopKind.SERIAL, LoopKind.PARALLEL):
            return done
        inner = set(bound(loop.body))
        found: list[list[Expr]] = []
        for index, limits, names in self._places(loop.body, named) or ():
            own = [
                condition
                for place, limit in zip(index, limits, strict=True)
                if limit is not None
                for condition in gaps(substitute_expr(place, names), limit, inner)
                if ix.depends(condition, loop.var.name)
            ]
            if own not in found:
                found.append(own)
        if len(found) != 1:
            return done
        for condition in found[0]:
            done = (If(condition, done),)
        return done

    def _places(
        self, section: Block, named: Mapping[str, Expr]
    ) -> list[tuple[Index, Sequence[Limit | None], dict[str, Expr]]] | None:
        """Where a section stores what others read; None if it is stored where there is no limit."""
        private = set(allocated(section))
        found = []
        for buffer, index, names in stores(section, dict(named)):
            if buffer.name in private:
                continue
            limits = self.limits.get(buffer.name)
            if limits is None:
                return None
            found.append((index, limits, names))
        return found

    def _tile(self, section: Block, done: Block, named: Mapping[str, Expr]) -> Block | None:
        """The section with tiles of fewer rows beside it, None if it is no tile of rows."""
        if not any(isinstance(s, Alloc) for s in section):
            return None
        inner = {name for s in section for name in bound((s,))}
        rows: set[str] = set()
        tops: list[tuple[Expr, Limit]] = []
        for index, limits, names in self._places(section, named) or ():
            found = _row(index, limits, names, inner)
            if found is None:
                return None
            rows.add(found[0])
            if found[1:] not in tops:
                tops.append(found[1:])
        if len(tops) != 1:
            return None
        same = row_loops(done, rows)
        if same is None or height_of(done, same) < 2:
            return None
        tile = Rows(*tops[0], same, height_of(done, same))
        least = least_under(self.conditions, self.least)
        if self._stands_alone(section):
            around = {name: value for name, value in named.items() if name not in inner}
            shared = balanced(done, tile, around, self._fresh)
            if shared is not None:
                lets, moved, left = shared
                shortest = tile.heights(least).start
                return (*lets, *trimmed(moved, same, left, self._fresh, shortest))
        first, needed = tile.place()
        # One that begins at row 0, whatever the loops, has all rows of the call.
        shortest = min(tile.height, tile.fewest(least)) if first == ix.ZERO else 1
        return trimmed(done, same, ix.sub(needed, first), self._fresh, shortest)

    def _stands_alone(self, section: Block) -> bool:
        """True if the rest of the kernel neither writes what it reads nor reads what it writes.

        Branches that are not taken where the section's own are do not count.
        """
        left_out = set(map(id, walk(section)))
        left_out |= {
            id(s)
            for branch in walk(self.kernel.body)
            if isinstance(branch, If)
            and any(exclude(branch.condition, own) for own in self.conditions)
            for s in walk(branch.body)
        }
        others = tuple(s for s in walk(self.kernel.body) if id(s) not in left_out)
        leaves = [s for s in others if not isinstance(s, For | If)]
        reads, writes = (set(read_by(section)), set(written_by(section)))
        return not (
            reads & set(written_by(leaves)) - set(allocated(section))
            or writes & set(read_by(leaves))
        )

    def _fresh(self, hint: str) -> str:
        return fresh_name(self.taken, hint)

    def _guarded(self, section: Block, done: Block, named: Mapping[str, Expr]) -> Block:
        """The section under a condition, if it is for a tile that may lie beyond the limits."""
        if not any(isinstance(s, Alloc) for s in section):
            return done
        inner = {name for s in section for name in bound((s,))}
        conditions: list[list[Expr]] = []
        for index, limits, names in self._places(section, named) or ():
            found: list[Expr] = [
                Binary("lt", least, prefix(limit))
                for place, limit in zip(index, limits, strict=True)
                if limit is not None
                and (least := least_place(substitute_expr(place, names), inner)) is not None
                and least != ix.ZERO
            ]
            if found not in conditions:
                conditions.append(found)
        if len(conditions) != 1:
            return done
        for condition in conditions[0]:
            done = (If(condition, done),)
        return done


def _sections(block: Block) -> Iterator[Block]:
    """The block in parts, each from an Alloc to the last use of what parts before did not make."""
    starts = [k for k, stmt in enumerate(block) if isinstance(stmt, Alloc)]
    ends: list[tuple[int, int]] = []
    for start in starts:
        stmt = block[start]
        assert isinstance(stmt, Alloc)
        last = max(k for k in range(start, len(block)) if uses(block[k], stmt.buffer.name))
        if ends and start <= ends[-1][1]:
            ends[-1] = (ends[-1][0], max(last, ends[-1][1]))
        else:
            ends.append((start, last))
    at = 0
    for start, last in ends:
        if at < start:
            yield block[at:start]
        # a let that later statements read must stay visible to them
        later = {name for stmt in block[last + 1 :] for name in mentioned(stmt)}
        if any(isinstance(s, Let) and s.var.name in later for s in block[start : last + 1]):
            yield block[start:]
            return
        yield block[start : last + 1]
        at = last + 1
    if at < len(block):
        yield block[at:]


def _row(
    index: Index, limits: Sequence[Limit | None], named: Mapping[str, Expr], inner: set[str]
) -> tuple[str, Expr, Limit] | None:
    """The inner variable that counts rows from an outer place on, that place, and its limit."""
    for place, limit in zip(index, limits, strict=True):
        if limit is None:
            continue
        terms, constant = ix.linear(substitute_expr(place, named))
        own = [t for t in terms if any(ix.depends(t, name) for name in inner)]
        if len(own) == 1 and isinstance(own[0], Var) and terms[own[0]] == 1:
            base = ix.from_linear({t: c for t, c in terms.items() if t != own[0]}, constant)
            return own[0].name, base, limit
    return None


def _first(place: Expr, var: Var, inner: set[str], limit: Expr) -> Expr | None:
    """The least `var` from which on `place >= limit`, whatever the other names in `inner` are."""
    terms, constant = ix.linear(place)
    for own, factor in terms.items():
        if factor <= 0 or not ix.depends(own, var.name):
            continue
        others = {atom: c for atom, c in terms.items() if atom != own}
        rest = least_place(ix.from_linear(others, constant), inner)
        if rest is None:
            return None
        steps = ix.floordiv(ix.add(ix.sub(limit, rest), ix.const(factor - 1)), factor)
        if isinstance(own, Var):
            return steps
        if isinstance(own, Binary) and own.op == "floordiv" and isinstance(own.right, Const):
            return _first(own.left, var, inner, ix.mul(steps, int(own.right.value)))
    return None
