"""Waits until a process uses no processor time.

Engines' threads spin for a while after a call, in the hope of another one. On a machine with few
processors they would take time from the engine that is measured next.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

_LOOK_SECONDS = 0.005
_IDLE_SHARE = 0.05
_LONGEST_SECONDS = 1.0


def wait_for_rest(process: int) -> float:
    """Sleeps until `process` has used less than a twentieth of a processor for 5 ms and no thread
    of it waits for one.

    Gives the seconds for which it was busy, at most 1; 0 where the system (none but Linux) does
    not tell the processor time of other processes.
    """
    # POSIX does not say how a process's clock is numbered; this is Linux's way
    # (clock_getcpuclockid in the C library, include/linux/posix-timers.h in the kernel).
    clock = (~process << 3) | 2
    start = time.monotonic()
    busy = start
    try:
        used = time.clock_gettime(clock)
        while time.monotonic() - start < _LONGEST_SECONDS:
            time.sleep(_LOOK_SECONDS)
            before, used = used, time.clock_gettime(clock)
            if used - before < _IDLE_SHARE * _LOOK_SECONDS and not _runs(process):
                break
            busy = time.monotonic()
    except OSError:
        time.sleep(_LOOK_SECONDS)
        return 0.0
    return busy - start


def _runs(process: int) -> bool:
    """Whether a thread other than this one runs or would if a processor were free."""
    own = threading.get_native_id()
    for task in Path(f"/proc/{process}/task").iterdir():
        # The state follows the name, which is in parentheses and may hold anything.
        state = (task / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
        if state.split()[0] == "R" and int(task.name) != own:
            return True
    return False
