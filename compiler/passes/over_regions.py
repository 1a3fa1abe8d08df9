"""Runs a pass on the regions of ops as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tensorkiln.compiler.ir.function import Function, Op


def map_regions(run: Callable[[Function], Function], function: Function) -> Function:
    """`function` with `run` applied to the regions of its ops; the same object if nothing changed.

    A `run` that starts by mapping itself over the regions runs innermost first.
    """
    ops = tuple(_mapped(run, op) for op in function.ops)
    return function if ops == function.ops else replace(function, ops=ops)


def everywhere(run: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """`run` on the regions of ops, innermost first, and then on the function."""

    def run_everywhere(function: Function) -> Function:
        return run(map_regions(run_everywhere, function))

    return run_everywhere


def _mapped(run: Callable[[Function], Function], op: Op) -> Op:
    regions = tuple(map(run, op.regions))
    return op if regions == op.regions else replace(op, regions=regions)
