"""Systems of linear equations with triangular matrices: triangular_solve and substitution.

`triangular_solve` is StableHLO's: a x = b, or x a = b without left_side, where a or its transpose
is meant.  Only one triangle of `a` is read, and with unit_diagonal ones stand on its diagonal.
`substitution` is the form that has loops: on the left side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.function import Array, Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Binary, Expr, Fma, Unary
from tensorkiln.compiler.kernel.index import ZERO, add, const, mul, sub
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import expect, require
from tensorkiln.compiler.ops.matrices import (
    PARALLEL_FLOPS,
    Cotangents,
    check_matrices,
    flip,
    lane_count,
    product,
    stack_loop,
    triangle,
)
from tensorkiln.compiler.ops.record import (
    Composite,
    Cost,
    LoopContext,
    Loops,
    OpRecord,
    Types,
    bytes_moved,
)


def triangular_solve(
    builder: Builder,
    a: Value,
    b: Value,
    left_side: bool = True,
    lower: bool = True,
    unit_diagonal: bool = False,
    transpose_a: bool = False,
) -> Value:
    """x with a x = b (x a = b without `left_side`), a triangular, or its transpose."""
    return builder.one(
        "triangular_solve",
        (a, b),
        left_side=left_side,
        lower=lower,
        unit_diagonal=unit_diagonal,
        transpose_a=transpose_a,
    )


def _types(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: `a` holds square matrices of f32 or f64.  C2: `b` holds as many, of the same dtype, with
    as many rows (columns without left_side) as those have."""
    a, b = expect(types, 2)
    check_matrices(a, "C1", square=True)
    along = -1 if attributes.get("left_side") is False else -2
    fits = b.dtype == a.dtype and b.rank == a.rank and b.shape[:-2] == a.shape[:-2]
    require(fits and b.shape[along] == a.shape[-1], f"C2: {b} does not go with {a}")
    return (b,)


def _forward(op: Op) -> bool:
    """True if the first row is found first."""
    return op.flag("lower") != op.flag("transpose_a")


def _solve(a: Any, b: Any, forward: bool, unit: bool) -> Any:
    """x with a x = b for `a` whose triangle is the lower one if `forward`."""
    x = np.array(b)
    rows = range(a.shape[-1])
    for i in rows if forward else rows[::-1]:
        before = slice(0, i) if forward else slice(i + 1, None)
        x[..., i, :] -= (a[..., i, before, None] * x[..., before, :]).sum(-2)
        if not unit:
            x[..., i, :] /= a[..., i, i, None]
    return x


def _evaluate_left(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a, b = arrays
    a = np.swapaxes(a, -1, -2) if op.flag("transpose_a") else a
    return [_solve(a, b, _forward(op), op.flag("unit_diagonal"))]


def _evaluate(op: Op, arrays: Sequence[Array]) -> Sequence[Array]:
    a, b = arrays
    left = op.flag("left_side")
    a = np.swapaxes(a, -1, -2) if op.flag("transpose_a") == left else a
    forward = _forward(op) == left
    b = b if left else np.swapaxes(b, -1, -2)
    x = _solve(a, b, forward, op.flag("unit_diagonal"))
    return [np.ascontiguousarray(x if left else np.swapaxes(x, -1, -2))]


def _build(context: LoopContext, op: Op) -> None:
    """parallel strips of columns { for i in n { x[i] = (b[i] - sum of a[i, k] x[k]) / a[i, i] } }"""
    (a, b), (size, columns) = op.operands, op.result.shape[-2:]
    forward, transposed, dtype = _forward(op), op.flag("transpose_a"), b.dtype
    width = min(lane_count(dtype), max(columns, 1))
    flops = _cost(op).flops
    alone = b.type.elements == size * columns
    kind = "parallel" if alone and flops >= PARALLEL_FLOPS else "for"
    strips = -(-columns // width)

    def row(n: Expr) -> Expr:
        return n if forward else sub(const(size - 1), n)

    def inside(lane: Expr) -> Expr:
        return Binary("lt", add(start, lane), const(columns))

    with stack_loop(context, b.shape, flops) as stack, context.loop(strips, kind) as strip:
        start = mul(strip, width)
        sums = context.local((width,), dtype)
        with context.loop(size) as n:
            i = row(n)
            with context.loop(width, "vector") as lane, context.guard(inside(lane)):
                given = context.read(b, (*stack, i, add(start, lane)))
                context.store(sums, (lane,), given)
            with context.between(ZERO, n, size) as m:
                k = row(m)
                entry = context.read(a, (*stack, *((k, i) if transposed else (i, k))))
                factor = context.let(Unary("neg", entry))
                with context.loop(width, "vector") as lane, context.guard(inside(lane)):
                    known = context.read_result(0, (*stack, k, add(start, lane)))
                    total = Fma(factor, known, context.load(sums, (lane,)))
                    context.store(sums, (lane,), total)
            with context.loop(width, "vector") as lane, context.when(inside(lane)):
                found = context.load(sums, (lane,))
                if not op.flag("unit_diagonal"):
                    found = Binary("div", found, context.read(a, (*stack, i, i)))
                context.write(0, (*stack, i, add(start, lane)), found)


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    """x a = b is a^T x^T = b^T."""
    (a, b), left = op.operands, op.flag("left_side")
    found = builder.one(
        "substitution",
        (a, b if left else flip(builder, b)),
        lower=op.flag("lower"),
        unit_diagonal=op.flag("unit_diagonal"),
        transpose_a=op.flag("transpose_a") == left,
    )
    return [found if left else flip(builder, found)]


def _gradient(builder: Builder, op: Op, cotangents: Cotangents) -> Cotangents:
    """For a x = b:  b' = a^-T g and a' = -b' x^T, as far as the triangle is read (Giles, Collected
    matrix derivative results for forward and reverse mode AD, 2008, section 2.2.3)."""
    (g,) = cotangents
    if g is None:
        return [None, None]
    a, _ = op.operands
    left = op.flag("left_side") if "left_side" in op.attributes else True
    lower, unit, transposed = (op.flag(name) for name in ("lower", "unit_diagonal", "transpose_a"))
    b_bar = triangular_solve(builder, a, g, left, lower, unit, not transposed)
    x = op.result
    if left:
        outer = product(builder, b_bar, flip(builder, x))
    else:
        outer = product(builder, flip(builder, x), b_bar)
    outer = flip(builder, outer) if transposed else outer
    a_bar = triangle(builder, builder.one("negate", (outer,)), lower, strict=unit)
    return [a_bar, b_bar]


def _cost(op: Op) -> Cost:
    """n^2 operations for each column of the unknown."""
    return Cost(op.result.type.elements * op.operands[0].shape[-1], bytes_moved(op))


_FORM = {"lower": "bool", "unit_diagonal": "bool", "transpose_a": "bool"}

RECORDS = (
    OpRecord(
        "triangular_solve", {"left_side": "bool", **_FORM}, _types, _evaluate, _gradient,
        Composite(_body), _cost,
    ),
    OpRecord("substitution", _FORM, _types, _evaluate_left, _gradient, Loops(_build), _cost),
)  # fmt: skip
