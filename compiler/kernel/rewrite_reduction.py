"""split_reduction: one accumulator becomes several."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tensorkiln.compiler.ir.dtypes import BOOL, DType
from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.dependence import accesses
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Buffer, Const, Expr, Fma, Load, Var
from tensorkiln.compiler.kernel.rewrite import constant_trips, find_loop, refuse, replace_loop
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Block,
    For,
    If,
    Kernel,
    Let,
    LoopKind,
    Store,
    loop,
)  # fmt: skip
from tensorkiln.compiler.kernel.substitute import fresh_name, names_of, substitute


@dataclass(frozen=True, slots=True)
class _Update:
    """`store` does accumulator = op(accumulator, something), or a fused multiply-add to it."""

    store: Store
    op: str
    accumulator: Load


def split_reduction(kernel: Kernel, name: str, lanes: int) -> Kernel:
    """Folds every `lanes`-th member of a reduction into an accumulator of its own.

        for k in 0..100 {                       alloc s_lanes: f32[8] local
          s[] = add(s[], x[k])                  for k_start in 0..8 { s_lanes[k_start] = 0 }
        }                                  ->   for k_outer in 0..13 { for k_lane in 0..8 {
                                                  if k_outer * 8 + k_lane < 100 {
                                                    s_lanes[k_lane] = add(s_lanes[k_lane], x[...])
                                                } } }
                                                for k_join in 0..8 { s[] = add(s[], s_lanes[k_join]) }

    The loop's body is lets and one such store; the accumulator's index is the same all the time.
    The lanes are independent, so the loops over them (but `k_join`) can be bound to a vector.  The
    members of a sum or product of floats are added in another order, so it is rounded otherwise.
    """
    target = find_loop(kernel, name)
    trips = constant_trips(kernel, target)
    if lanes < 1 or target.kind is not LoopKind.SERIAL:
        refuse(kernel, target, f"cannot be split into {lanes} lanes")
    update = _update(kernel, target)
    old = update.accumulator
    taken = names_of(kernel)
    outer = Var(fresh_name(taken, f"{name}_outer"), INDEX, -(-trips // lanes))
    lane = Var(fresh_name(taken, f"{name}_lane"), INDEX, lanes)
    state = Buffer(fresh_name(taken, f"{old.buffer.name}_lanes"), (lanes,), old.dtype, "local")
    index = ix.add(ix.mul(outer, lanes), lane)
    own = Load(state, (lane,))
    start = Var(fresh_name(taken, f"{name}_start"), INDEX, lanes)
    join = Var(fresh_name(taken, f"{name}_join"), INDEX, lanes)

    def make(loop_before: For) -> Block:
        value = _with_accumulator(update.store.value, own)
        body: Block = (*loop_before.body[:-1], Store(state, (lane,), value))
        body = substitute(body, {name: index})
        if trips % lanes:
            body = (If(Binary("lt", index, ix.const(trips)), body),)
        joined = replace(update.store, value=Binary(update.op, old, Load(state, (join,))))
        return (
            Alloc(state),
            loop(start, (Store(state, (start,), identity(update.op, old.dtype)),)),
            loop(outer, (loop(lane, body),)),
            loop(join, (joined,)),
        )

    return replace_loop(kernel, target, make)


def _update(kernel: Kernel, target: For) -> _Update:
    *lets, last = target.body or (None,)
    if not isinstance(last, Store) or not all(isinstance(stmt, Let) for stmt in lets):
        refuse(kernel, target, "is not lets and one store")
    where = Load(last.buffer, last.index)
    match last.value:
        case Binary("add" | "mul" | "min" | "max" | "and" | "or" | "xor" as op, left, _) if (
            left == where
        ):
            update = _Update(last, op, where)
        case Fma(_, _, addend) if addend == where:
            update = _Update(last, "add", where)
        case _:
            refuse(kernel, target, f"does not fold into {last.buffer.name}")
    own = {target.var.name, *(let.var.name for let in lets if isinstance(let, Let))}
    if any(ix.depends(e, used) for e in last.index for used in own):
        refuse(kernel, target, f"folds into more than one element of {last.buffer.name}")
    touched = [a for a in accesses(target.body) if a.buffer == last.buffer]
    if len(touched) != 2:
        refuse(kernel, target, f"uses {last.buffer.name} for other things too")
    return update


def _with_accumulator(value: Expr, accumulator: Load) -> Expr:
    match value:
        case Binary(op, _, member):
            return Binary(op, accumulator, member)
        case Fma(a, b, _):
            return Fma(a, b, accumulator)
        case _:
            raise TypeError(f"{type(value).__name__} does not fold")


def identity(op: str, dtype: DType) -> Const:
    """What `op` with anything leaves as it is (0.0 for sums: only the sign of a zero can change)."""
    if op in ("add", "or", "xor"):
        return Const(0.0 if dtype.is_float else 0, dtype)
    if op == "mul":
        return Const(1.0 if dtype.is_float else 1, dtype)
    if op == "and":
        return (
            Const(True, BOOL)
            if dtype == BOOL
            else Const(-1 if dtype.is_signed else _top(dtype), dtype)
        )
    if dtype.is_float:
        return Const(float("inf") if op == "min" else float("-inf"), dtype)
    low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    return Const(_top(dtype) if op == "min" else low, dtype)


def _top(dtype: DType) -> int:
    return (1 << (dtype.bits - dtype.is_signed)) - 1
