"""The onnx package's own conformance suite (onnx.backend.test), run by the interpreter.

`suite_passes.txt` lists what passes; a listed test that fails is a failure here.  To write the
list anew: `python tests/onnx_frontend/test_backend_suite.py`.
"""

from __future__ import annotations

import contextlib
import io
import unittest
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the suite computes infinities on purpose
    import onnx.backend.test

from tensorkiln.frontends.onnx.backend import TensorKilnBackend

LIST = Path(__file__).parent / "suite_passes.txt"
# OnnxBackendRealModelTest wants to write to the home directory: see test_light_models.py.
LEFT_OUT = ("OnnxBackendRealModelTest",)


def suite() -> dict[str, type[unittest.TestCase]]:
    """The suite's classes with the tests for the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classes = onnx.backend.test.BackendTest(TensorKilnBackend, __name__).test_cases
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


def _only_listed() -> dict[str, type[unittest.TestCase]]:
    kept, found = set(listed()), suite()
    for case in found.values():
        for name in names_of(case):
            if name not in kept:
                delattr(case, name)
    return found


def test_list_fits_the_suite() -> None:
    everything = {name for case in suite().values() for name in names_of(case)}
    # An older or newer onnx package may have other tests; most of the list must be there.
    assert len(everything & set(listed())) > 0.8 * len(listed())


def regenerate() -> None:
    """Runs the whole suite and writes the list of what passes."""
    passes: list[str] = []
    total = 0
    for case in suite().values():
        for name in names_of(case):
            total += 1
            result = unittest.TestResult()
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                case(name).run(result)
            if result.wasSuccessful() and not result.skipped:
                passes.append(name)
    head = (
        f"# {len(passes)} of {total} tests of onnx.backend.test (onnx {onnx.__version__}) pass.\n"
    )
    LIST.write_text(head + "\n".join(sorted(passes)) + "\n")
    print(head, end="")


if __name__ == "__main__":
    regenerate()
else:
    globals().update(_only_listed())
