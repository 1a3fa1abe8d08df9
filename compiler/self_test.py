"""Test vectors for artifacts: samples of what the interpreter makes of generated inputs."""

from __future__ import annotations

from collections.abc import Sequence

import ml_dtypes
import numpy as np

from tensorkiln.compiler.agreement import MODEL_FACTOR, gap, limit_of
from tensorkiln.compiler.codegen.entry_self_test import test_input
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.runtime.compiled import Compiled, Sample, SelfTest
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.processor import architecture, missing_features

SAMPLES = 64  # of each output


def make_self_test(function: Function, compiled: Sequence[Compiled], seed: int = 1) -> SelfTest:
    """The vectors of `function`, which every one of `compiled` that runs here must pass.

    ArtifactError if one does not: then compiled code and interpreter disagree.
    """
    specs = [TensorSpec(v.name, v.shape, v.dtype.name) for v in function.parameters]
    inputs = [test_input(spec, position, seed) for position, spec in enumerate(specs)]
    wanted = [np.array(array) for array in evaluate(function, inputs)]
    for version in compiled:
        _try(version, inputs, wanted)
    return SelfTest(seed, tuple(map(_sample, wanted)))


def _try(compiled: Compiled, inputs: Sequence[Array], wanted: Sequence[Array]) -> None:
    manifest = compiled.manifest
    if not manifest.triple.startswith(architecture()) or missing_features(manifest.features):
        return
    results = load_compiled(compiled)(*inputs)
    for spec, got, array in zip(manifest.outputs, results, wanted, strict=True):
        found = gap(got, array, MODEL_FACTOR)
        if not found.agrees:
            raise ArtifactError(
                f"output {spec.name!r} of {manifest.model!r} fails its self-test for"
                f" {manifest.cpu}: {found}; `tensorkiln verify` looks for the op"
            )


def _sample(array: Array) -> Sample:
    """Evenly spaced elements, the first and the last among them."""
    count = min(SAMPLES, array.size)
    places = np.unique(np.linspace(0, max(array.size - 1, 0), count).astype(np.int64))
    kind = dtype_of(array.dtype)
    values = array.reshape(-1)[places]
    tolerance = 0.0
    if kind.is_float:
        wide = array.astype(np.float64)
        largest = np.max(np.abs(wide), where=np.isfinite(wide), initial=0.0)
        eps = float(ml_dtypes.finfo(array.dtype).eps)  # type: ignore[no-untyped-call]
        tolerance = limit_of(array.dtype) * MODEL_FACTOR * eps * float(largest)
    elif kind.kind == "uint":  # the test reads all integers as signed ones
        values = values.view(values.dtype.str.replace("u", "i"))
    return Sample(tuple(map(int, places)), tuple(map(float, values.astype(np.float64))), tolerance)
