"""The thread pool as object code for artifacts."""

from __future__ import annotations

import functools

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.target import emit_object, machine, optimize
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.runtime.pool import pool_text


@functools.cache
def pool_object(target: Target) -> bytes:
    """A relocatable object that defines `tk_parallel_for`, `tk_thread_count`, `tk_pool_shutdown`."""
    module = llvm.parse_assembly(pool_text(target.architecture))
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    module.verify()
    optimize(module, target)
    return emit_object(module, target)
