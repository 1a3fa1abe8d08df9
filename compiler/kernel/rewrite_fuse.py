"""fuse_loops: two nested loops become one."""

from __future__ import annotations

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import INDEX, Var
from tensorkiln.compiler.kernel.rewrite import constant_trips, find_loop, refuse, replace_loop
from tensorkiln.compiler.kernel.stmt import Block, For, Kernel, LoopKind, loop
from tensorkiln.compiler.kernel.substitute import fresh_name, names_of, substitute


def fuse_loops(kernel: Kernel, outer: str, inner: str) -> Kernel:
    """Collapses a loop and the loop of the same kind that is all its body.

        for i in 0..8 {
          for j in 0..4 {            for i_j in 0..32 {
            y[i, j] = 0.0f32   ->      y[i_j // 4, i_j % 4] = 0.0f32

    The iterations run in the order they had.  Vector loops do not nest, so there are none to fuse.
    """
    around = find_loop(kernel, outer)
    inside = find_loop(kernel, inner)
    if around.body != (inside,) or around.kind is not inside.kind:
        refuse(kernel, around, f"does not just contain loop {inner} of its own kind")
    if around.kind is LoopKind.VECTOR:
        refuse(kernel, around, "is a vector loop")
    rows, columns = constant_trips(kernel, around), constant_trips(kernel, inside)
    if rows * columns == 0:
        refuse(kernel, around, f"or loop {inner} never runs")
    var = Var(fresh_name(names_of(kernel), f"{outer}_{inner}"), INDEX, rows * columns)
    values = {outer: ix.floordiv(var, columns), inner: ix.mod(var, columns)}

    def make(old: For) -> Block:
        return (loop(var, substitute(inside.body, values), old.kind),)

    return replace_loop(kernel, around, make)
