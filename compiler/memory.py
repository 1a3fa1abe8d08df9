"""Memory that a compilation has freed goes back to the system while it goes on.

The GNU C library keeps what programs free for later. A compilation frees arrays of another size at
each stage, so what is kept seldom fits and comes on top: half of the bytes of some models.
"""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable

from tensorkiln.compiler.ir.function import Function

_LEAST = 8 << 20  # bytes of constants from which on it is worth milliseconds


def constant_bytes(function: Function) -> int:
    """The bytes of a function's constants, but for those in regions."""
    return sum(op.result.type.bytes for op in function.ops if op.name == "constant")


def free_cycles(constants: int) -> None:
    """Frees what only refers to itself, if `constants` bytes may be part of it.

    That takes as long as there are objects in the process: half a second in large ones.
    """
    if constants >= _LEAST:
        gc.collect()


def give_back(constants: int) -> None:
    """Returns freed memory to the system, where the C library has a way to.

    Nothing happens for a model with few `constants` (bytes).
    """
    trim = _trim() if constants >= _LEAST else None
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """`malloc_trim` of the GNU C library (malloc_trim(3)), which other systems lack."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    found: Callable[[int], int] = trim
    return found
