"""Every pass on random functions: the meaning stays, and a second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from passes.graphs import assert_same_meaning, functions

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.passes.algebra import algebra, reassociate
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
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def well_formed(function: Function) -> None:
    verify_function(function, REGISTRY.types)


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


@pytest.mark.parametrize("run", [push_movement], ids=lambda run: run.__name__)
@quick
@given(function=functions())
def test_pass_that_may_sum_in_another_order(run: Pass, function: Function) -> None:
    after = run(function)
    well_formed(after)
    assert_same_meaning(function, after, exact=False)
    assert run(after) is after


@quick
@given(function=functions())
def test_reassociation_ends(function: Function) -> None:
    after = reassociate(function)
    well_formed(after)
    assert reassociate(after) is after
