"""reorder: two nested loops change places."""

from __future__ import annotations

from dataclasses import replace

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.dependence import carried_dependence
from tensorkiln.compiler.kernel.rewrite import check_no_barrier, find_loop, refuse, replace_loop
from tensorkiln.compiler.kernel.stmt import Block, For, Kernel


def reorder(kernel: Kernel, outer: str, inner: str) -> Kernel:
    """Swaps a loop and the loop that is all its body.

        for i in 0..8 {             for k in 0..4 {
          for k in 0..4 {     ->      for i in 0..8 {
            c[i] = ... c[i]             c[i] = ... c[i]

    A dependence between iterations must not change its direction.  That is so where the iterations
    of one of the two loops never touch each other's memory, whatever the other variable is.
    """
    around = find_loop(kernel, outer)
    inside = find_loop(kernel, inner)
    if around.body != (inside,):
        refuse(kernel, around, f"does not just contain loop {inner}")
    if any(ix.depends(bound, outer) for bound in (inside.start, inside.stop)):
        refuse(kernel, inside, f"has bounds that depend on {outer}")
    check_no_barrier(kernel, around)
    problem = carried_dependence(inside, frozenset((outer,)))
    if problem is not None and carried_dependence(around) is not None:
        refuse(kernel, around, f"cannot be put inside of loop {inner}: {problem}")

    def make(old: For) -> Block:
        return (replace(inside, body=(replace(old, body=inside.body),)),)

    return replace_loop(kernel, around, make)
