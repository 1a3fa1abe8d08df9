"""A GPU program run by the kernel interpreter: its blocks, threads and barriers, without a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.codegen.nvptx_target import gpu_target
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.kernel.expr import Buffer
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.program import Program, Slot
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.compiler.pipeline import optimize_function
from tensorkiln.compiler.schedules.gpu import lower_to_gpu


def assert_close(found: Sequence[Array], expected: Sequence[Array], tolerance: float) -> None:
    """Fails where results differ by more than `tolerance` of the largest expected value or 1."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        got: NDArray[Any] = one
        want: NDArray[Any] = other
        assert got.dtype == want.dtype
        scale = max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale)


def lowered(function: Function, name: str = "sm_80") -> Program:
    """The GPU program of a function, its kernels verified."""
    program = lower_to_gpu(optimize_function(function), gpu_target(name))
    for kernel in program.kernels:
        verify_kernel(kernel)
    return program


def simulate(program: Program, function: Function, arrays: Sequence[Array]) -> list[Array]:
    """The function's results as the program's kernels, interpreted, compute them."""
    results = [np.zeros(v.shape, v.dtype.numpy) for v in function.results]
    for position, donor in function.aliases.items():
        results[position] = arrays[donor] = np.array(arrays[donor])  # type: ignore[index]
    arguments = [np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in (*arrays, *results)]
    blobs = {
        "constants": np.array(program.constants),
        "workspace": np.full(program.workspace_bytes, 0xCD, np.uint8),
    }
    for call in program.calls:
        kernel = program.kernels[call.kernel]
        views = [
            _view(b, _memory(s, arguments, blobs))
            for b, s in zip(kernel.parameters, call.slots, strict=True)
        ]
        interpret(kernel, views)
    count = len(arrays)
    return [
        a.view(r.dtype).reshape(r.shape) for a, r in zip(arguments[count:], results, strict=True)
    ]


def _memory(
    slot: Slot, arguments: Sequence[NDArray[np.uint8]], blobs: dict[str, NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    if slot.space == "argument":
        return arguments[slot.position]
    return blobs[slot.space][slot.position :]


def _view(buffer: Buffer, memory: NDArray[np.uint8]) -> Array:
    size = buffer.elements * buffer.dtype.bytes
    return memory[:size].view(buffer.dtype.numpy).reshape(buffer.shape)
