"""Memory that a compilation has freed goes back to the system while it goes on.

The GNU C library keeps what programs free for later. A compilation frees arrays of another size at
each stage, so what is kept seldom fits and comes on top: half of the bytes of some models.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Returns freed memory to the system, where the C library has a way to; in milliseconds."""
    trim = _trim()
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
