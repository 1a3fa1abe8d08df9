"""split: one loop into two."""

from __future__ import annotations

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import INDEX, Binary, Var
from tensorkiln.compiler.kernel.rewrite import find_loop, refuse, replace_loop
from tensorkiln.compiler.kernel.stmt import Block, For, If, Kernel, LoopKind, loop
from tensorkiln.compiler.kernel.substitute import fresh_name, names_of, substitute


def split(kernel: Kernel, name: str, factor: int, tail: str = "guard") -> Kernel:
    """Makes a loop one of blocks of `factor` iterations.

        for i in 0..10 {            for i_outer in 0..3 {
          y[i] = x[i]       ->        for i_inner in 0..4 {
        }                               if i_outer * 4 + i_inner < 10 {
                                          y[i_outer * 4 + i_inner] = x[i_outer * 4 + i_inner]

    `tail` says what becomes of a rest: "guard" puts the body under a condition where `factor` does
    not divide the number of iterations, "exact" refuses.  The outer loop keeps the kind, the inner
    one is serial (unrolled if the loop was).  A vector loop is not split.
    """
    target = find_loop(kernel, name)
    extent = target.var.extent
    if target.start != ix.ZERO or target.step != 1 or extent is None:
        refuse(kernel, target, "does not run from 0 by 1 to a known bound")
    if target.kind is LoopKind.VECTOR:
        refuse(kernel, target, "is a vector loop, and lanes are not split")
    if factor < 1:
        refuse(kernel, target, f"cannot be split by {factor}")
    exact = target.stop == ix.const(extent) and extent % factor == 0
    if tail not in ("guard", "exact") or (tail == "exact" and not exact):
        refuse(kernel, target, f"does not run a multiple of {factor} times (tail {tail!r})")
    taken = names_of(kernel)
    outer = Var(fresh_name(taken, f"{name}_outer"), INDEX, -(-extent // factor))
    inner = Var(fresh_name(taken, f"{name}_inner"), INDEX, factor)
    index = ix.add(ix.mul(outer, factor), inner)

    def make(old: For) -> Block:
        body = substitute(old.body, {name: index})
        if not exact:
            body = (If(Binary("lt", index, old.stop), body),)
        unrolled = old.kind is LoopKind.UNROLLED
        kind = LoopKind.UNROLLED if unrolled else LoopKind.SERIAL
        return (loop(outer, (loop(inner, body, kind),), old.kind),)

    return replace_loop(kernel, target, make)
