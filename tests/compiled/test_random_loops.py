"""Random functions with nested loops and branches: compiled, and interpreted as kernels.

`--random-functions N` looks at N functions instead of a few.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from compiled.check import check, check_interpreted
from compiled.loops import looping_functions
from hypothesis import HealthCheck, given, settings

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.ir.text import print_function


def _hunt(request: pytest.FixtureRequest, few: int, run: Callable[[Function], None]) -> None:
    asked = int(request.config.getoption("--random-functions"))
    limits = settings(
        max_examples=asked or few, deadline=None, derandomize=not asked, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def attempt(function: Function) -> None:
        try:
            run(function)
        except Exception as error:
            raise AssertionError(print_function(function)) from error

    limits(given(function=looping_functions())(attempt))()


def test_compiled_random_loops(request: pytest.FixtureRequest) -> None:
    _hunt(request, 15, check)


def test_interpreted_random_loops(request: pytest.FixtureRequest) -> None:
    _hunt(request, 10, check_interpreted)


def test_random_loops_as_text(request: pytest.FixtureRequest) -> None:
    def round_trip(function: Function) -> None:
        text = print_function(function)
        assert print_function(parse_function(text)) == text

    _hunt(request, 25, round_trip)
