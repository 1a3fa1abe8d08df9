"""The onnx package's own conformance suite (onnx.backend.test), interpreted and compiled.

`suite_passes.txt` lists what passes in both modes; a listed test that fails is a failure here. All
of them run by the interpreter, and every `STRIDE`th compiled. To run the whole suite in both modes
and write the list anew: `python tests/onnx_frontend/test_backend_suite.py`; with `--compiled` only
what is listed runs, compiled, and the failures are printed.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import time
import unittest
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the suite computes infinities on purpose
    import onnx.backend.test
    from onnx.backend.test.case.node import collect_testcases

from tensorkiln.frontends.onnx.backend import InterpretedBackend, TensorKilnBackend

LIST = Path(__file__).parent / "suite_passes.txt"
STRIDE = 16
# OnnxBackendRealModelTest wants to write to the home directory: see test_light_models.py.
LEFT_OUT = ("OnnxBackendRealModelTest",)

# Why a test is not in the list: the first pattern that its name has tells.
REASONS = {
    "bernoulli|training_dropout": "the expected numbers are those of numpy's random generator",
    "attention_4d_causal_fp16": "expected are f16 results of rounded steps, further from the exact ones than ours",
    "dft_inverse": "expected are rounding errors of f32 above the tolerance, where the result is 0",
    "loop16_seq_none": "the suite's own comparison fails on a sequence of scalars",
}

Cases = dict[str, type[unittest.TestCase]]


def suite(backend: type[TensorKilnBackend]) -> Cases:
    """The suite's classes with the tests for the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classes = onnx.backend.test.BackendTest(backend, __name__).test_cases
    found = {name: case for name, case in classes.items() if name not in LEFT_OUT}
    for case in found.values():
        for name in names_of(case):
            if not name.endswith("_cpu"):
                delattr(case, name)
    return found


def names_of(case: type[unittest.TestCase]) -> list[str]:
    return [name for name in dir(case) if name.startswith("test_")]


def listed() -> list[str]:
    lines = LIST.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def only(names: list[str], backend: type[TensorKilnBackend], prefix: str = "") -> Cases:
    """The suite's classes with the tests of the given names, the classes' names prefixed."""
    kept, found = set(names), suite(backend)
    for case in found.values():
        for name in names_of(case):
            if name not in kept:
                delattr(case, name)
        case.__name__ = case.__qualname__ = prefix + case.__name__
    return {prefix + name: case for name, case in found.items()}


def test_list_fits_the_suite() -> None:
    everything = {name for case in suite(InterpretedBackend).values() for name in names_of(case)}
    # An older or newer onnx package may have other tests; most of the list must be there.
    assert len(everything & set(listed())) > 0.8 * len(listed())


def reason(name: str) -> str:
    """Why the test is not in the list; empty where nobody knows."""
    return next((why for pattern, why in REASONS.items() if re.search(pattern, name)), "")


def test_what_is_left_out_has_a_reason() -> None:
    everything = {name for case in suite(InterpretedBackend).values() for name in names_of(case)}
    if onnx.__version__ not in LIST.read_text().partition("\n")[0]:
        pytest.skip("the list was made with another version of onnx")
    assert not [name for name in everything - set(listed()) if not reason(name)]


@pytest.mark.parametrize("backend", [InterpretedBackend, TensorKilnBackend])
def test_a_sequence_with_a_scalar_is_as_expected(backend: type[TensorKilnBackend]) -> None:
    (case,) = (c for c in collect_testcases() if c.name == "test_loop16_seq_none")
    inputs, (expected,) = case.data_sets[0]
    (got,) = backend.prepare(case.model).run(inputs)
    for array, wanted in zip(got, expected, strict=True):
        np.testing.assert_array_equal(array, wanted, strict=True)


def outcomes(cases: Cases) -> Iterator[tuple[str, str]]:
    """Runs all tests: their names, with what went wrong, if anything did."""
    for case in cases.values():
        for name in names_of(case):
            result = unittest.TestResult()
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                case(name).run(result)
            wrong = [*result.errors, *result.failures, *result.skipped]
            yield name, wrong[0][1] if wrong else ""


def regenerate() -> None:
    """Runs the whole suite in both modes and writes the list of what passes."""
    passes: list[set[str]] = []
    total = 0
    for backend in (InterpretedBackend, TensorKilnBackend):
        found = list(outcomes(suite(backend)))
        passes.append({name for name, wrong in found if not wrong})
        total = len(found)
    interpreted, compiled = passes
    head = (
        f"# Of {total} tests of onnx.backend.test (onnx {onnx.__version__}),"
        f" {len(interpreted)} pass interpreted and {len(compiled)} compiled.\n"
    )
    out = sorted({name for name, _ in found} - (interpreted & compiled))
    notes = "".join(f"# not {name}: {reason(name)}\n" for name in out)
    LIST.write_text(head + notes + "\n".join(sorted(interpreted & compiled)) + "\n")
    print(head, end="")
    for name in sorted(interpreted ^ compiled):
        print("compiled only:" if name in compiled else "interpreted only:", name)


def check_compiled() -> int:
    """Runs what is listed, compiled; prints the failures and gives their number."""
    start, failures, names = time.perf_counter(), 0, listed()
    for name, wrong in outcomes(only(names, TensorKilnBackend)):
        if wrong:
            failures += 1
            print(f"{name}\n{wrong}", flush=True)
    print(f"{failures} of {len(names)} fail, {time.perf_counter() - start:.0f} s")
    return failures


if __name__ == "__main__":
    if "--compiled" in sys.argv[1:]:
        sys.exit(check_compiled() > 0)
    regenerate()
else:
    globals().update(only(listed(), InterpretedBackend))
    globals().update(only(listed()[::STRIDE], TensorKilnBackend, "Compiled"))
