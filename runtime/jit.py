"""Loads a `Compiled` model into this process."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import llvmlite.binding as llvm

from tensorkiln.runtime.body import Body, check_machine
from tensorkiln.runtime.compiled import Compiled, aligned
from tensorkiln.runtime.errors import ArtifactError
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.pool import linker, process_pool
from tensorkiln.runtime.processor import architecture, missing_features

_NUMBERS = itertools.count()


def load_compiled(
    compiled: Compiled, threads: int = 0, symbols: Mapping[str, int] | None = None
) -> Executable:
    """An Executable that calls `compiled` in this process; `threads` 0 means all processors.

    `symbols` gives addresses to names that the object code leaves open besides the pool's.
    ArtifactError if the code is for another machine or its object code cannot be linked.
    """
    manifest = compiled.manifest
    missing = missing_features(manifest.features)
    check_machine(manifest, f"model {manifest.model!r}", architecture(), missing)
    if compiled.constants.nbytes < manifest.constants_bytes:
        raise ArtifactError(
            f"model {manifest.model!r} has {compiled.constants.nbytes} bytes of constants,"
            f" its manifest says {manifest.constants_bytes}"
        )
    constants = aligned(compiled.constants)
    body = _link(compiled, constants.ctypes.data, constants, symbols or {})
    return Executable(manifest, body, threads)


def _link(
    compiled: Compiled, constants_address: int, owner: object, symbols: Mapping[str, int]
) -> Body:
    pool = process_pool()
    library = llvm.JITLibraryBuilder().add_object_img(compiled.object_code)
    library.add_current_process().export_symbol("tk_body")
    library.import_symbol("tk_parallel_for", pool.symbols["tk_parallel_for"])
    library.import_symbol("tk_thread_count", pool.symbols["tk_thread_count"])
    for name, place in symbols.items():
        library.import_symbol(name, place)
    try:
        tracker = library.link(linker(), f"tensorkiln.body.{next(_NUMBERS)}")
    except RuntimeError as error:
        name = compiled.manifest.model
        raise ArtifactError(f"the object code of {name!r} cannot be linked: {error}") from error

    def arrange(pointers: int, workspace: int) -> tuple[int, int, int]:
        return pointers, constants_address, workspace

    return Body(tracker["tk_body"], arrange, pool.thread_count, (tracker, owner))
