"""The one thread pool of all just-in-time executables of this process."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import llvmlite.binding as llvm

# The hint by which a waiting thread leaves the core's units to its sibling, as an intrinsic: inline
# assembly would need an assembly parser, which llvmlite has for the host's architecture only.
_X86_PAUSE = ("void @llvm.x86.sse2.pause()", "void @llvm.x86.sse2.pause()")
_ARM_YIELD = ("void @llvm.aarch64.hint(i32)", "void @llvm.aarch64.hint(i32 1)")
_PAUSES = {"x86_64": _X86_PAUSE, "aarch64": _ARM_YIELD, "arm64": _ARM_YIELD}
_LOCK = threading.RLock()
_SOURCE = Path(__file__).with_name("pool.ll")


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses of the pool's functions, which bodies import, and the thread count as a call."""

    symbols: dict[str, int]
    thread_count: Callable[[int], int]


def pool_text(architecture: str) -> str:
    """The pool's LLVM IR for an architecture ("x86_64"), which has no triple or data layout."""
    declared, called = _PAUSES.get(architecture, ("", ""))
    declaration = f"declare {declared}\n" if declared else ""
    call = f"  call {called}\n" if called else ""
    return (
        _SOURCE.read_text(encoding="ascii")
        + f"\n{declaration}define internal void @tk_pause() alwaysinline {{\n{call}  ret void\n}}\n"
    )


def linker() -> llvm.LLJIT:
    """The linker that loads object code into this process; it is never closed."""
    with _LOCK:
        return _linker()


def process_pool() -> Pool:
    """The pool, compiled and loaded on first use."""
    with _LOCK:
        return _process_pool()


@functools.cache
def _linker() -> llvm.LLJIT:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    jit = llvm.create_lljit_compiler(_machine())
    # One reference too many: code stays mapped while the process ends, since workers sleep in it.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(jit))
    return jit


@functools.cache
def _process_pool() -> Pool:
    jit = _linker()
    triple = llvm.get_process_triple()
    module = llvm.parse_assembly(pool_text(triple.split("-")[0]))
    module.verify()
    machine = _machine()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    names = ("tk_parallel_for", "tk_thread_count", "tk_pool_shutdown")
    library = llvm.JITLibraryBuilder().add_object_img(machine.emit_object(module))
    library.add_current_process()
    for name in names:
        library.export_symbol(name)
    tracker = library.link(jit, "tensorkiln.pool")
    tracker.detach()
    count = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(tracker["tk_thread_count"])
    return Pool({name: tracker[name] for name in names}, count)


def _machine() -> llvm.TargetMachine:
    back_end = llvm.Target.from_triple(llvm.get_process_triple())
    return back_end.create_target_machine(opt=3, reloc="pic", codemodel="default")
