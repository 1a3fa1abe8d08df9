"""Every op of the table, linked to others at random: compiled as the interpreter says.

`--random-functions N` looks at N functions instead of a few.
"""

from __future__ import annotations

import numpy as np
import pytest
from hostile.table_graphs import Linked, by_op, linked_functions
from hypothesis import HealthCheck, given, settings

from tensorkiln.compiler.agreement import MODEL_FACTOR, gap
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.runtime.jit import load_compiled

FEW = 14
TABLE = by_op()


def compare(linked: Linked, targets: tuple[str, ...] = ("host",)) -> None:
    with np.errstate(all="ignore"):
        wanted = evaluate(linked.function, linked.arrays)
    for target in targets:
        executable = load_compiled(compile_function(linked.function, target_named(target)), 1)
        for k, (got, want) in enumerate(zip(executable(*linked.arrays), wanted, strict=True)):
            found = gap(got, np.asarray(want), MODEL_FACTOR, rounded=True)
            assert found.agrees, f"result {k} {found}"


def test_ops_linked_at_random(request: pytest.FixtureRequest) -> None:
    asked = int(request.config.getoption("--random-functions"))
    limits = settings(
        max_examples=asked or FEW, deadline=None, derandomize=not asked, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    @limits
    @given(linked=linked_functions(TABLE))
    def attempt(linked: Linked) -> None:
        try:
            compare(linked)
        except Exception as error:
            text = print_function(linked.function)
            raise AssertionError(f"{', '.join(linked.ops)}:\n{text}") from error

    attempt()


def test_the_table_has_all_ops() -> None:
    missing = {record.name for record in REGISTRY} - set(TABLE) - {"constant", "fusion"}
    assert not missing
