"""Thread pools compiled from text for tests, each with state of its own."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.target import emit_object, machine, optimize, target_named
from tensorkiln.runtime.pool import linker, pool_text

RANGE_FUNCTION: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def range_function(function: Callable[[int, int, int], None]) -> Any:
    """A C function of (context, begin, end) that calls `function`."""
    return RANGE_FUNCTION(function)


_NUMBERS = itertools.count()


@dataclass
class TestPool:
    parallel_for: Callable[..., None]
    thread_count: Callable[[int], int]
    shutdown: Callable[[], None]
    keepalive: object
    __test__ = False


def make_pool(text: str | None = None) -> TestPool:
    target = target_named("host")
    module = llvm.parse_assembly(text or pool_text(target.architecture))
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    module.verify()
    optimize(module, target)
    library = llvm.JITLibraryBuilder().add_object_img(emit_object(module, target))
    library.add_current_process()
    for name in ("tk_parallel_for", "tk_thread_count", "tk_pool_shutdown"):
        library.export_symbol(name)
    tracker = library.link(linker(), f"test.pool.{next(_NUMBERS)}")
    parallel = ctypes.CFUNCTYPE(
        None, RANGE_FUNCTION, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    )
    return TestPool(
        parallel(tracker["tk_parallel_for"]),
        ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(tracker["tk_thread_count"]),
        ctypes.CFUNCTYPE(None)(tracker["tk_pool_shutdown"]),
        tracker,
    )
