"""A fused function as a program of GPU kernels; the one table from kinds to GPU schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.kernel.program import Program, Slot, map_steps
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.lower.constants import Constants
from tensorkiln.compiler.schedules.gpu_loops import schedule_gpu_loops
from tensorkiln.compiler.schedules.gpu_reduce import schedule_gpu_reduce
from tensorkiln.compiler.schedules.gpu_rows import schedule_gpu_rows
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.program import assemble, group_of
from tensorkiln.runtime.errors import UnsupportedError

FAMILIES = ("loops", "update", "rows", "reduce")
_NO_KERNEL = ("constant", "reshape")


def lower_to_gpu(fused: Function, target: Target) -> Program:
    """The GPU program of a fused function, every value row-major, donated state updated in place.

    UnsupportedError lists the nodes of the groups that have no GPU kernel family.
    """
    _check(fused, target)
    kernels = {
        op: schedule_gpu(op.string("kind"), group_of(op, {}), target)
        for op in fused.ops
        if op.name == "fusion"
    }
    constants = Constants()
    program = assemble(
        fused, kernels, {}, lambda group: schedule_gpu_loops(group, target), constants,
        in_place=False,
    )  # fmt: skip
    return _in_place(replace(program, constants=constants.blob()), fused)


def _in_place(program: Program, fused: Function) -> Program:
    """The program with donated state written under its parameter's own number.

    A kernel that updates state then visibly gets one buffer twice.
    """
    count = len(fused.parameters)
    donors = {
        Slot("argument", count + position): Slot("argument", donor)
        for position, donor in fused.aliases.items()
    }
    steps = map_steps(program.steps, lambda slot: donors.get(slot, slot), lambda kernel: kernel)
    return replace(program, steps=steps)


def schedule_gpu(kind: str, group: Group, target: Target) -> Kernel:
    """The GPU kernel of a group of one of the kinds in `FAMILIES`."""
    match kind:
        case "loops" | "update":
            return schedule_gpu_loops(group, target)
        case "rows":
            return schedule_gpu_rows(group, target)
        case "reduce":
            return schedule_gpu_reduce(group)
    raise UnsupportedError(f"group {group.name}: no GPU kernel family for groups of kind {kind}")


def _check(fused: Function, target: Target) -> None:
    if fused.symbols:
        names = ", ".join(symbol.name for symbol in fused.symbols)
        raise UnsupportedError(
            f"{fused.name}: GPU kernels need known sizes; give numbers for the dims {names}"
        )
    problems = [problem for op in fused.ops if (problem := _problem(op)) is not None]
    if problems:
        raise UnsupportedError(
            f"{fused.name}: {target.name} has kernels for elementwise, reduction and row-wise "
            f"groups only, not for {'; '.join(problems)}"
        )


def _problem(op: Op) -> str | None:
    """Words for an op that no GPU kernel computes: the user's nodes, and what they are."""
    if op.name in _NO_KERNEL:
        return None
    if op.name != "fusion":
        return f"{_nodes([op])} ({op.name})"
    members = [o for o in op.regions[0].ops if o.name != "constant"]
    if op.string("kind") not in FAMILIES:
        names = ", ".join(dict.fromkeys(o.name for o in members))
        return f"{_nodes(members)} (a group of kind {op.string('kind')}: {names})"
    # LLVM's remainder for NVPTX is x - y * trunc(x / y), which is far off for large quotients.
    inexact = [o for o in members if o.name == "remainder" and o.result.dtype.is_float]
    return f"{_nodes(inexact)} (remainder of {inexact[0].result.dtype})" if inexact else None


def _nodes(ops: Sequence[Op]) -> str:
    """The user's names of ops, or those of their values where a user named none."""
    named = dict.fromkeys(op.location.node for op in ops if op.location.node)
    return ", ".join(named) or ", ".join(f"%{v.name}" for op in ops for v in op.results)
