"""The meaning of a program: its kernels, interpreted in order on the memory that the plan gives them.

Shows what a plan does wrong: a slot outside of the workspace, a buffer overwritten while somebody
still reads it, memory read that nobody wrote (it holds 0xFF, which is NaN as a float).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import BOOL, I32
from tensorkiln.compiler.kernel.expr import Buffer
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.program import Branch, Call, Loop, Program, Slot, Step
from tensorkiln.runtime.errors import VerifyError

POISON = 0xFF
_PREDICATE = Buffer("predicate", (), BOOL)
_INDEX = Buffer("index", (), I32)


def interpret_program(program: Program, arguments: Sequence[NDArray[Any]]) -> None:
    """Runs `program` on its parameters' arrays, then its results', which are written in place.

    Arrays are dense; a result that aliases a parameter gets the parameter's array.  VerifyError
    where a slot does not hold its buffer or a kernel does something that has no meaning.
    """
    if len(arguments) != program.arguments:
        raise ValueError(f"program {program.name} has {program.arguments} arguments")
    workspace = np.full(program.workspace_bytes, POISON, np.uint8)
    blobs = {"constants": program.constants, "workspace": workspace}
    _run(program, program.steps, blobs, arguments)


def _run(
    program: Program,
    steps: Sequence[Step],
    blobs: dict[str, NDArray[np.uint8]],
    arguments: Sequence[NDArray[Any]],
) -> None:
    for step in steps:
        match step:
            case Call():
                kernel = program.kernels[step.kernel]
                arrays = [
                    _view(program, buffer, slot, blobs, arguments)
                    for buffer, slot in zip(kernel.parameters, step.slots, strict=True)
                ]
                interpret(kernel, arrays)
            case Loop():
                predicate = _view(program, _PREDICATE, step.predicate, blobs, arguments)
                while True:
                    _run(program, step.condition, blobs, arguments)
                    if not predicate[()]:
                        break
                    _run(program, step.body, blobs, arguments)
            case Branch():
                index = int(_view(program, _INDEX, step.index, blobs, arguments)[()])
                last = len(step.branches) - 1
                chosen = index if 0 <= index <= last else last
                _run(program, step.branches[chosen], blobs, arguments)


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
