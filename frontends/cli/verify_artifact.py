"""A shared object against the test vectors inside of it, and against the model it was made from."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.agreement import MODEL_FACTOR, gap
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.frontends.cli.usage import Signature
from tensorkiln.frontends.cli.verify import AGREES, DIFFERS, SKIPPED, Check
from tensorkiln.frontends.cli.verify_rounding import rounded_results
from tensorkiln.runtime.errors import ModelError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.load import run_self_test
from tensorkiln.runtime.manifest import ArtifactInfo
from tensorkiln.runtime.open_executable import OpenExecutable


def self_test(path: str, info: ArtifactInfo) -> Check:
    """Runs the test vectors that were put into the artifact."""
    if not info.self_test:
        return Check("self-test", SKIPPED, "the artifact has no test vectors (compile --self-test)")
    wrong = run_self_test(path)
    if wrong is not None:
        return Check("self-test", DIFFERS, wrong)
    return Check("self-test", AGREES, "samples of the interpreter's outputs, made when compiled")


def against_model(
    executable: Executable | OpenExecutable,
    signature: Signature,
    function: Function,
    arrays: Sequence[Array],
) -> Check:
    """The artifact's outputs, which are of the given signature, against the interpreter's."""
    inputs, outputs = signature
    wanted = [(v.shape, v.dtype.name) for v in (*function.parameters, *function.results)]
    has = [(spec.shape, spec.dtype) for spec in (*inputs, *outputs)]
    if wanted != has:
        raise ModelError("--against: the model has other inputs and outputs than the artifact")
    results = executable(*arrays)
    worst = None
    wanted_arrays = zip(evaluate(function, arrays), rounded_results(function), strict=True)
    for spec, got, (expected, rounded) in zip(outputs, results, wanted_arrays, strict=True):
        found = gap(got, expected, MODEL_FACTOR, rounded)
        if not found.agrees:
            text = f"output {spec.name!r} {found}"
            return Check("against the model", DIFFERS, text, found, (spec.name,))
        worst = found if worst is None or found.units > worst.units else worst
    return Check("against the model", AGREES, "the interpreter's outputs", worst)
