"""The meaning of a program: its kernels, interpreted in order on the memory that the plan gives them.

Shows what a plan does wrong: a slot outside of the workspace, a buffer overwritten while somebody
still reads it, memory read that nobody wrote (it holds 0xFF, which is NaN as a float).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.kernel.expr import Buffer
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.program import Program, Slot
from tensorkiln.runtime.errors import VerifyError

POISON = 0xFF


def interpret_program(program: Program, arguments: Sequence[NDArray[Any]]) -> None:
    """Runs `program` on its parameters' arrays, then its results', which are written in place.

    Arrays are dense; a result that aliases a parameter gets the parameter's array.  VerifyError
    where a slot does not hold its buffer or a kernel does something that has no meaning.
    """
    if len(arguments) != program.arguments:
        raise ValueError(f"program {program.name} has {program.arguments} arguments")
    workspace = np.full(program.workspace_bytes, POISON, np.uint8)
    blobs = {"constants": program.constants, "workspace": workspace}
    for call in program.calls:
        kernel = program.kernels[call.kernel]
        arrays = [
            _view(program, buffer, slot, blobs, arguments)
            for buffer, slot in zip(kernel.parameters, call.slots, strict=True)
        ]
        interpret(kernel, arrays)


def _view(
    program: Program,
    buffer: Buffer,
    slot: Slot,
    blobs: dict[str, NDArray[np.uint8]],
    arguments: Sequence[NDArray[Any]],
) -> NDArray[Any]:
    """The memory of a slot as an array of the buffer's shape and dtype."""
    size = buffer.elements * buffer.dtype.bytes
    if slot.space == "argument":
        blob, start = arguments[slot.position].reshape(-1).view(np.uint8), 0
        if blob.nbytes != size:
            raise VerifyError(f"program {program.name}: {slot} has {blob.nbytes} bytes, not {size}")
    else:
        blob, start = blobs[slot.space], slot.position
    if start < 0 or start + size > blob.nbytes:
        raise VerifyError(
            f"program {program.name}: {buffer.name} at {slot} ends at {start + size}, "
            f"the {slot.space} at {blob.nbytes}"
        )
    return blob[start : start + size].view(buffer.dtype.numpy).reshape(buffer.shape)
