"""Compiles a function and compares it with the interpreter in every way that is cheap."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from unittest import mock

import numpy as np
from compiled.data import feeds
from compiled.graphs import is_smooth

from tensorkiln.compiler import pipeline
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.kernel.interpret_program import interpret_program
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.processor import missing_features

# Limits that small tensors reach only if they are made small: threads, chunks, depth blocks.
_SMALL = {
    "PARALLEL_WORK": 64, "CHUNK": 64, "DEPTH": 8, "SMALL_ROWS": 2, "STREAM_BYTES": 2048,
    "ROW_BYTES": 64, "L2_BYTES": 512, "LEAST_COLUMNS": 4, "LEAST_ROWS": 2, "LEAST_DEPTH": 4,
    "BLOCK_BYTES": 512, "PARTIAL_BYTES": 4096, "TASK_WORK": 1 << 10, "DEPTHWISE_WORK": 1 << 7,
}  # fmt: skip
_PACKAGE = "tensorkiln.compiler.schedules."
TOLERANCES = {"f64": 1e-9, "f32": 2e-4, "f16": 4e-2, "bf16": 3e-1}


@contextlib.contextmanager
def small_limits() -> Iterator[None]:
    """Makes small tensors take the ways of large ones."""
    with contextlib.ExitStack() as stack:
        for module_name, module in list(sys.modules.items()):
            for name, value in _SMALL.items():
                if module_name.startswith(_PACKAGE) and hasattr(module, name):
                    stack.enter_context(mock.patch.object(module, name, value))
        yield


def check(function: Function, target: str = "host", small: bool = False) -> None:
    """Fails unless `function`, compiled for `target`, gives what the interpreter gives.

    Runs it with one and three threads, donates what it may, and looks for undeclared writes.
    """
    arrays = feeds(function)
    expected = [np.array(a) for a in evaluate(function, arrays)]
    with small_limits() if small else contextlib.nullcontext():
        compiled = pipeline.compile_function(function, target)
    if missing_features(target_named(target).features):
        return  # this machine cannot run it
    executable = load_compiled(compiled, threads=2)
    first: list[bytes] = []
    for threads in (1, 3, 1):
        fed = [array.copy() for array in arrays]
        names = [v.name for v in function.parameters]
        found = executable.run(dict(zip(names, fed, strict=True)), donate=True, threads=threads)
        _same(function, found, expected)
        donated = set(function.aliases.values())
        for k, (before, after) in enumerate(zip(arrays, fed, strict=True)):
            assert k in donated or before.tobytes() == after.tobytes(), f"parameter {k} was written"
        bits = [array.tobytes() for array in found]
        assert not first or bits == first, "another number of threads gave other bits"
        first = bits


def check_interpreted(function: Function, target: str = "host", small: bool = False) -> None:
    """Fails unless the kernels of `function` are valid and mean what the function means."""
    arrays = [array.copy() for array in feeds(function)]
    expected = [np.array(a) for a in evaluate(function, arrays)]
    machine = target_named(target)
    with small_limits() if small else contextlib.nullcontext():
        program = pipeline.lower(function, machine).program
    for kernel in program.kernels:
        verify_kernel(kernel)
    results = [np.full(v.type.sizes, 0x55).astype(v.dtype.numpy) for v in function.results]
    for position, donor in function.aliases.items():
        results[position] = arrays[donor]
    interpret_program(program, [*arrays, *results])
    _same(function, results, expected)


def _same(function: Function, found: Sequence[Array], expected: Sequence[Array]) -> None:
    smooth = is_smooth(function)
    for number, (got, want) in enumerate(zip(found, expected, strict=True)):
        assert (got.shape, got.dtype) == (want.shape, want.dtype), f"result {number}"
        kind = dtype_of(want.dtype)
        if not kind.is_float or not smooth:
            np.testing.assert_array_equal(_wide(got), _wide(want), f"result {number}")
            continue
        allowed = TOLERANCES[kind.name]
        np.testing.assert_allclose(
            _wide(got), _wide(want), rtol=allowed, atol=allowed, err_msg=f"result {number}"
        )


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if dtype_of(array.dtype).is_float else array
