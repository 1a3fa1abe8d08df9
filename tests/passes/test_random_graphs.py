"""Every pass on random functions: the meaning stays, and a second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from passes.graphs import assert_same_meaning, functions

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.passes.algebra import algebra
from tensorkiln.compiler.passes.canonicalize import canonicalize
from tensorkiln.compiler.passes.common_subexpressions import common_subexpressions
from tensorkiln.compiler.passes.dead_code import dead_code
from tensorkiln.compiler.passes.expand_composites import expand_composites
from tensorkiln.compiler.passes.fold_constants import fold_constants
from tensorkiln.compiler.passes.push_movement import push_movement

Pass = Callable[[Function], Function]

EXACT: tuple[Pass, ...] = (
    expand_composites,
    canonicalize,
    fold_constants,
    common_subexpressions,
    dead_code,
    algebra,
)
quick = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def well_formed(function: Function) -> None:
    """Every op has the types that its rule gives; names are unique; operands come first."""
    known = set(function.parameters)
    for op in function.ops:
        assert known.issuperset(op.operands)
        assert REGISTRY.types(op) == tuple(v.type for v in op.results)
        known.update(op.results)
    assert known.issuperset(function.results)
    assert len({v.name for v in known}) == len(known)


@pytest.mark.parametrize("run", EXACT, ids=lambda run: run.__name__)
@quick
@given(function=functions())
def test_exact_pass(run: Pass, function: Function) -> None:
    after = run(function)
    well_formed(after)
    assert_same_meaning(function, after)
    assert run(after) is after


@quick
@given(function=functions())
def test_all_exact_passes_in_turn(function: Function) -> None:
    after = function
    for run in EXACT:
        after = run(after)
    well_formed(after)
    assert_same_meaning(function, after)


@quick
@given(function=functions())
def test_push_movement(function: Function) -> None:
    after = push_movement(function)
    well_formed(after)
    with np.errstate(all="ignore"):
        assert_same_meaning(function, after, exact=False)
    assert push_movement(after) is after
