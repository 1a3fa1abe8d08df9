"""Kernels that bring arrays of open size from the caller's dense form to capacity, and back.

    for i0 in 0..extent0 { for i1 in 0..extent1 {          all factors but the last
        for j in vectors of the last one's extent {
            places[i0, i1, j] = dense[(i0 * extent1 + i1) * extent2 + j] } }

Both sides are contiguous along the last factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce

from tensorkiln.compiler.ir.dims import Affine, Dim, Symbol, substitute, symbol_dim, told_by
from tensorkiln.compiler.ir.dtypes import I32, DType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import (
    INDEX,
    Binary,
    Buffer,
    Convert,
    Expr,
    Index,
    Load,
    Var,
)
from tensorkiln.compiler.kernel.stmt import Block, For, If, Kernel, Let, LoopKind, Store, loop
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.sizes.factors import Dims, Factor, normal

CHUNK = 1 << 14  # bytes of a run that one task copies


def size_name(symbol: str) -> str:
    """The kernel's name for a symbol's size."""
    return f"size.{symbol}"


def size_reads(
    dims: Sequence[Dim], capacities: Mapping[str, int]
) -> tuple[tuple[Buffer, ...], tuple[Let, ...]]:
    """For each symbol that `dims` use: the scalar that tells its size, and a let that reads it;
    behind these lets of quotients and products."""
    told, made = told_by(dims)
    buffers = tuple(Buffer(f"{size_name(symbol.name)}.at", (), I32) for symbol in told)
    lets = [
        Let(_size(symbol, capacities), Convert(Load(buffer, ()), INDEX))
        for symbol, buffer in zip(told, buffers, strict=True)
    ]
    lets += [Let(_size(symbol, capacities), _made(symbol, capacities)) for symbol in made]
    return buffers, tuple(lets)


def _made(symbol: Symbol, capacities: Mapping[str, int]) -> Expr:
    """A quotient or a product of other sizes."""
    if symbol.quotient is not None:
        over, divisor = symbol.quotient
        return ix.floordiv(size_expr(over, capacities), divisor)
    first, *others = (size_expr(factor, capacities) for factor in symbol.factors)
    return reduce(partial(Binary, "mul"), others, first)


def _size(symbol: Symbol, capacities: Mapping[str, int]) -> Var:
    top = substitute(symbol_dim(symbol), capacities)
    assert isinstance(top, int)
    return Var(size_name(symbol.name), INDEX, top + 1)


def size_expr(dim: Dim, capacities: Mapping[str, int]) -> Expr:
    """A dim as an index expression of the names that `size_reads` makes."""
    if not isinstance(dim, Affine):
        return ix.const(dim)
    total: Expr = ix.const(dim.constant)
    for symbol, coefficient in dim.terms:
        total = ix.add(total, ix.mul(_size(symbol, capacities), coefficient))
    return total


def flat_factors(dims: Dims) -> tuple[Factor, ...]:
    """The factors of all dims, as few as possible."""
    return normal(tuple(factor for dim in dims for factor in dim))


def transfer_kernel(
    dims: Dims, dtype: DType, inward: bool, capacities: Mapping[str, int], target: Target
) -> Kernel:
    """Copies the part of an array that is in use: to its places at capacity if `inward`."""
    factors = flat_factors(dims)
    size = 1
    for factor in factors:
        size *= factor.size
    dense = Buffer("in0" if inward else "out0", (size,), dtype)
    places = Buffer("out0" if inward else "in0", tuple(f.size for f in factors), dtype)
    extents = [size_expr(f.extent, capacities) for f in factors]
    sizes, lets = size_reads([f.extent for f in factors], capacities)

    outer = [Var(f"i{k}", INDEX, f.size) for k, f in enumerate(factors[:-1])]
    start: Expr = ix.ZERO
    for var, extent in zip(outer, extents, strict=False):
        start = Binary("add", Binary("mul", start, extent), var) if start != ix.ZERO else var
    if outer:
        start = Binary("mul", start, extents[-1])
    lanes = target.lanes(max(dtype.bits, 8))
    body = _run(dense, places, inward, tuple(outer), start, extents[-1], factors[-1].size, lanes)
    for var, extent in zip(reversed(outer), reversed(extents[:-1]), strict=True):
        body = (loop(var, body, stop=extent),)
    parameters = (dense, *sizes, places) if inward else (places, *sizes, dense)
    name = "take_in" if inward else "give_out"
    return Kernel(name, parameters, 1, (*lets, *body))


def _run(
    dense: Buffer,
    places: Buffer,
    inward: bool,
    outer: Index,
    start: Expr,
    extent: Expr,
    size: int,
    lanes: int,
) -> Block:
    """Copies `extent` elements of the last factor."""
    per_task = max(1, CHUNK // max(1, dense.dtype.bytes) // lanes)
    tasks = -(-size // (per_task * lanes))
    task, step = Var("task", INDEX, tasks), Var("step", INDEX, per_task)
    lane = Var("lane", INDEX, lanes)
    at = ix.add(ix.add(ix.mul(task, per_task * lanes), ix.mul(step, lanes)), lane)
    inside = Binary("lt", at, extent)
    there, here = (*outer, at), (Binary("add", start, at) if start != ix.ZERO else at,)
    if inward:
        copy = Store(places, there, Load(dense, here, inside))
    else:
        copy = Store(dense, here, Load(places, there, inside))
    vector = For(lane, ix.ZERO, ix.const(lanes), LoopKind.VECTOR, (If(inside, (copy,)),))
    left = ix.sub(extent, ix.mul(task, per_task * lanes))
    steps = Binary("min", ix.const(per_task), _ceil(left, lanes))
    return (
        loop(
            task,
            (loop(step, (vector,), stop=steps),),
            LoopKind.SERIAL if outer or tasks == 1 else LoopKind.PARALLEL,
            stop=_ceil(extent, per_task * lanes),
        ),
    )


def _ceil(a: Expr, by: int) -> Expr:
    return ix.floordiv(ix.add(a, ix.const(by - 1)), by)
