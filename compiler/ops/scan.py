"""The op cumulative: each element is the fold of all elements before it along one dim.

y[k] = x[0] * ... * x[k] for the reducer `*`; `exclusive` leaves out x[k] itself (the identity
comes first), `reverse` folds from the end.  StableHLO has no such op; numpy's ufunc.accumulate
and ONNX's CumSum state its meaning.  Sums and products of f16 and bf16 are kept in f32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Expr
from tensorkiln.compiler.ops.checks import expect, require, widened
from tensorkiln.compiler.ops.record import Cost, LoopContext, Loops, OpRecord, Types, bytes_moved
from tensorkiln.compiler.ops.reducers import (
    REDUCERS,
    check_reducer,
    combine_state,
    identity,
    initial_state,
    state_dtype,
)
from tensorkiln.compiler.ops.scan_gradient import scan_gradient

_STRIP = 512  # elements that are folded side by side
_BLOCK = 8  # elements folded among themselves before they meet the running value
_PARALLEL_WORK = 1 << 16  # elements; fewer are not worth waking threads for


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: the dimension is a dim of the operand.  C2: the reducer takes the dtype."""
    (x,), axis = expect(types, 1), attributes["dimension"]
    require(isinstance(axis, int) and 0 <= axis < x.rank, f"C1: dimension {axis} of operand {x}")
    check_reducer(attributes["reducer"], x.dtype, "C2")
    return (x,)


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    (x,), axis, reducer = arrays, op.integer("dimension"), op.string("reducer")
    back = (slice(None),) * axis + (slice(None, None, -1 if op.flag("reverse") else 1),)
    state = state_dtype(reducer, op.result.dtype).numpy
    wide = x.astype(state, copy=False)[back]
    with np.errstate(all="ignore"):
        if op.flag("exclusive") and x.shape[axis]:
            first = np.full_like(
                wide[(slice(None),) * axis + (slice(1),)], identity(reducer, op.result.dtype)
            )
            wide = np.concatenate([first, wide[(slice(None),) * axis + (slice(-1),)]], axis)
        found = REDUCERS[reducer].function.accumulate(wide, axis=axis, dtype=state)
        return [found[back].astype(x.dtype, order="C")]


class _Nest:
    """Where the elements of a scan lie: [outer, length, inner], all flat."""

    def __init__(self, context: LoopContext, op: Op) -> None:
        self.context, self.op = context, op
        self.axis, self.reducer = op.integer("dimension"), op.string("reducer")
        self.state = state_dtype(self.reducer, op.result.dtype)
        shape = op.result.shape
        self.outer, self.length = math.prod(shape[: self.axis]), shape[self.axis]
        self.inner = math.prod(shape[self.axis + 1 :])
        self.parallel = op.result.type.elements >= _PARALLEL_WORK

    def at(self, outer: Expr, step: Expr, inner: Expr) -> tuple[Expr, ...]:
        """The index of the element that is folded in `step`."""
        shape, last = self.op.result.shape, ix.const(self.length - 1)
        place = ix.sub(last, step) if self.op.flag("reverse") else step
        before = ix.unflatten(outer, shape[: self.axis]) if self.axis else ()
        after = ix.unflatten(inner, shape[self.axis + 1 :]) if self.axis + 1 < len(shape) else ()
        return (*before, place, *after)

    def read(self, index: tuple[Expr, ...]) -> Expr:
        """The operand's element as a running value."""
        return self.context.let(widened(self.context.read(self.op.operands[0], index), self.state))

    def write(self, index: tuple[Expr, ...], value: Expr) -> None:
        """The result's element."""
        self.context.write(0, index, self.context.let(widened(value, self.op.result.dtype)))

    def fold(self, a: Expr, b: Expr) -> Expr:
        """The running value after one more element."""
        return self.context.let(combine_state(self.reducer, a, b))


def _build(context: LoopContext, op: Op) -> None:
    nest = _Nest(context, op)
    kind = "parallel" if nest.parallel and nest.outer > 1 else "for"
    with context.loop(nest.outer, kind) as outer:
        if nest.inner == 1:
            _rows(nest, outer)
        else:
            _strips(nest, outer, "parallel" if nest.parallel and kind == "for" else "for")


def _strips(nest: _Nest, outer: Expr, kind: str) -> None:
    """Every element of a strip has its own running value, so a strip runs in lanes."""
    count, rest = divmod(nest.inner, _STRIP)
    if rest and count < 2:  # a little more than one strip is a larger strip
        count, rest = 0, nest.inner
    if count:
        with nest.context.loop(count, kind) as number:
            _strip(nest, outer, ix.mul(number, _STRIP), _STRIP)
    if rest:
        _strip(nest, outer, ix.const(count * _STRIP), rest)


def _strip(nest: _Nest, outer: Expr, first: Expr, width: int) -> None:
    context = nest.context
    running = context.local((width,), nest.state)
    with context.loop(width) as lane:
        context.store(running, (lane,), initial_state(nest.reducer, nest.op.result.dtype))
    with context.loop(nest.length) as step, context.loop(width) as lane:
        index = nest.at(outer, step, ix.add(first, lane))
        before = context.load(running, (lane,))
        after = nest.fold(before, nest.read(index))
        nest.write(index, before if nest.op.flag("exclusive") else after)
        context.store(running, (lane,), after)


def _rows(nest: _Nest, outer: Expr) -> None:
    """One row after the other, a block at a time: its elements are folded among themselves before
    the running value is needed, which makes the chain of dependent steps that much shorter."""
    context = nest.context
    running = context.local((), nest.state)
    context.store(running, (), initial_state(nest.reducer, nest.op.result.dtype))
    # A product of some factors may overflow where the product of all does not.
    size = 1 if nest.state.is_float and nest.reducer == "multiply" else _BLOCK
    count, rest = divmod(nest.length, size)

    def block(start: Expr, size: int) -> None:
        indices = [nest.at(outer, ix.add(start, ix.const(k)), ix.ZERO) for k in range(size)]
        folded = [nest.read(index) for index in indices]
        for k in range(1, size):
            folded[k] = nest.fold(folded[k - 1], folded[k])
        before = context.load(running, ())
        after = [nest.fold(before, value) for value in folded]
        values = [before, *after[:-1]] if nest.op.flag("exclusive") else after
        for index, value in zip(indices, values, strict=True):
            nest.write(index, value)
        context.store(running, (), after[-1])

    with context.loop(count) as number:
        block(ix.mul(number, size), size)
    if rest:
        block(ix.const(count * size), rest)


def _cost(op: Op) -> Cost:
    """One operation an element."""
    return Cost(op.result.type.elements, bytes_moved(op))


RECORDS = (
    OpRecord(
        "cumulative",
        {"dimension": "int", "reducer": "str", "exclusive": "bool", "reverse": "bool"},
        _types,
        _evaluate,
        scan_gradient,
        Loops(_build),
        _cost,
    ),
)
