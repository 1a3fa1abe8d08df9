"""Chooses the kernel family of a fused group: the one table from kinds to schedules."""

from __future__ import annotations

from tensorkiln.compiler.codegen.target import Target
from tensorkiln.compiler.kernel.stmt import Kernel
from tensorkiln.compiler.schedules.accumulate import schedule_accumulate
from tensorkiln.compiler.schedules.concatenate import schedule_concatenate
from tensorkiln.compiler.schedules.custom import schedule_custom
from tensorkiln.compiler.schedules.group import Group
from tensorkiln.compiler.schedules.loops import schedule_loops
from tensorkiln.compiler.schedules.rows import schedule_rows
from tensorkiln.runtime.errors import UnsupportedError


def schedule(kind: str, group: Group, target: Target) -> Kernel:
    """The kernel of a group of the given kind."""
    match kind:
        case "loops":
            return schedule_loops(group, target)
        case "rows":
            return schedule_rows(group, target)
        case "reduce" | "contract":
            return schedule_accumulate(group, target)
        case "concatenate":
            return schedule_concatenate(group, target)
        case "custom":
            return schedule_custom(group)
    raise UnsupportedError(f"no kernel family for groups of kind {kind}")
