"""Random functions: compiled, and interpreted as kernels, they give what the interpreter gives.

`--random-functions N` looks at N functions instead of a few.  What fails is shrunk; put its text
under regressions/, where every file is run by test_regressions.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from compiled.check import check, check_interpreted
from compiled.graphs import functions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.text import print_function

TARGETS = ("host", "x86-64", "x86-64-v3")
MACHINES = st.sampled_from(TARGETS)


def _hunt(request: pytest.FixtureRequest, few: int, run: Callable[..., None]) -> None:
    asked = int(request.config.getoption("--random-functions"))
    limits = settings(
        max_examples=asked or few, deadline=None, derandomize=not asked, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def attempt(function: Function, target: str, small: bool) -> None:
        try:
            run(function, target, small)
        except Exception as error:
            text = print_function(function)
            raise AssertionError(f"target {target}, small limits {small}:\n{text}") from error

    limits(given(function=functions(), target=MACHINES, small=st.booleans())(attempt))()


def test_compiled_random_functions(request: pytest.FixtureRequest) -> None:
    _hunt(request, 80, check)


def test_interpreted_random_functions(request: pytest.FixtureRequest) -> None:
    _hunt(request, 40, check_interpreted)
