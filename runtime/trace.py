"""A hook that notes when compiled code starts and ends each kernel.

Code that was emitted to be traced calls `tk_trace(args, constants, workspace, place)` before
(place 2n) and after (2n + 1) call n. This hook is such a function, in machine code, which writes
the place and the time to a table: about 30 ns an event.
"""

from __future__ import annotations

import ctypes
import itertools

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from tensorkiln.runtime.pool import linker

_NUMBERS = itertools.count()
_TEXT = """
%event = type { i64, i64 }
@tk_table = global ptr null
@tk_count = global i64 0
@tk_room = global i64 0
declare i32 @clock_gettime(i32, ptr)
define void @tk_trace(ptr %args, ptr %constants, ptr %workspace, i64 %place) {
entry:
  %time = alloca { i64, i64 }, align 8
  %count = load i64, ptr @tk_count
  %room = load i64, ptr @tk_room
  %fits = icmp slt i64 %count, %room
  %next = add i64 %count, 1
  store i64 %next, ptr @tk_count
  br i1 %fits, label %note, label %exit
note:
  %table = load ptr, ptr @tk_table
  %event = getelementptr %event, ptr %table, i64 %count
  store i64 %place, ptr %event
  %status = call i32 @clock_gettime(i32 1, ptr %time) ; CLOCK_MONOTONIC
  %seconds = load i64, ptr %time
  %fraction.at = getelementptr { i64, i64 }, ptr %time, i32 0, i32 1
  %fraction = load i64, ptr %fraction.at
  %whole = mul i64 %seconds, 1000000000
  %nanoseconds = add i64 %whole, %fraction
  %stamp = getelementptr %event, ptr %event, i32 0, i32 1
  store i64 %nanoseconds, ptr %stamp
  br label %exit
exit:
  ret void
}
"""


class Trace:
    """The hook with a table of `room` events; for one executable and one thread at a time."""

    def __init__(self, room: int) -> None:
        jit = linker()
        module = llvm.parse_assembly(_TEXT)
        module.verify()
        triple = llvm.get_process_triple()
        machine = llvm.Target.from_triple(triple).create_target_machine(
            opt=2, reloc="pic", codemodel="default"
        )
        library = llvm.JITLibraryBuilder().add_object_img(machine.emit_object(module))
        library.add_current_process()
        for name in ("tk_trace", "tk_table", "tk_count", "tk_room"):
            library.export_symbol(name)
        self._tracker = library.link(jit, f"tensorkiln.trace.{next(_NUMBERS)}")
        self._table = np.zeros((room, 2), np.int64)
        self._count = ctypes.c_int64.from_address(self._tracker["tk_count"])
        ctypes.c_int64.from_address(self._tracker["tk_room"]).value = room
        ctypes.c_void_p.from_address(self._tracker["tk_table"]).value = self._table.ctypes.data

    @property
    def symbols(self) -> dict[str, int]:
        """What traced code is linked with."""
        return {"tk_trace": self._tracker["tk_trace"]}

    def start(self) -> None:
        """Forget all events."""
        self._count.value = 0

    def events(self) -> NDArray[np.int64]:
        """(place, nanoseconds) of the events since `start`, [n, 2]; the first that have room."""
        events: NDArray[np.int64] = self._table[: min(self._count.value, len(self._table))].copy()
        return events
