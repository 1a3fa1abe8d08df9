"""What a compiled cluster leaves to be done on the host after it ran: checks of values, printing.

The cluster computes what the host needs as results of its own, so an op in the middle of a step
that checks or prints does not split it.  If a check fails, the cluster has changed no variable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tensorkiln.compiler.ir.function import Value
from tensorkiln.frontends.graph.arrays import Array

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.operation import Operation

React: TypeAlias = Callable[[Sequence[Array]], None]


@dataclass(frozen=True)
class Effect:
    """`react` gets the values' arrays; of a check (`holds`, a bool scalar) only if it fails, and
    then raises."""

    op: Operation
    values: tuple[Value, ...]
    react: React
    holds: Value | None = None
