"""LLVM modules to machine code, while the next ones are still being made.

LLVM's functions let other Python threads run, so one thread emits modules and another optimises and
compiles those that are ready. (llvmlite lets one thread at a time into LLVM; more would not help.)
What comes out depends on the modules and their order only.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Semaphore

import llvmlite.binding as llvm
from llvmlite import ir

from tensorkiln.compiler.codegen.objects import RenamedObject, join_objects
from tensorkiln.compiler.codegen.target import (
    emit_object,
    machine,
    optimize_for,
    pipeline_options,
)
from tensorkiln.compiler.kernel.target import Target

ENTRY = "tk_body"
_WAITING = 4  # modules that are emitted ahead of LLVM; their texts take memory


@dataclass(frozen=True, slots=True)
class MachineCode:
    """A relocatable object file, and the optimised LLVM text where it was asked for."""

    object_code: bytes
    optimized: str


def machine_code(modules: Iterable[ir.Module], target: Target, texts: bool = False) -> MachineCode:
    """One object of all `modules`, in which only `tk_body` stays visible.

    Of several modules, each is compiled by itself; then the objects are joined. A single one is
    taken as it is, which is the only way for targets whose objects are no ELF files.
    """

    # Made once, not for each module: each call to LLVM may wait for Python's turn of threads.
    made_for, options = machine(target), pipeline_options()
    is_elf = target.architecture != "wasm32"

    def compile_text(text: str) -> MachineCode:
        module = llvm.parse_assembly(text)
        module.verify()
        optimize_for(module, made_for, options)
        code = made_for.emit_object(module) if is_elf else emit_object(module, target)
        return MachineCode(bytes(code), str(module) if texts else "")

    room = Semaphore(_WAITING)

    def compile_next(text: str) -> MachineCode:
        room.release()
        return compile_text(text)

    pending = []
    with ThreadPoolExecutor(1, "llvm") as worker:
        for module in modules:
            room.acquire()
            pending.append(worker.submit(compile_next, str(module)))
            _take_apart(module)
        parts = [future.result() for future in pending]
    if len(parts) == 1:
        return parts[0]
    joined = io.BytesIO()
    objects = [RenamedObject(part.object_code, {}, f".{k}") for k, part in enumerate(parts)]
    join_objects(objects, [ENTRY]).write(joined)
    return MachineCode(joined.getvalue(), "".join(part.optimized for part in parts))


def _take_apart(module: ir.Module) -> None:
    """Frees what a module consists of, after which it is of no use.

    Instructions and blocks refer to each other, so they would stay until Python next looks at all
    objects, by which time there would be those of many modules.
    """
    for function in module.functions:
        for block in function.blocks:
            for instruction in block.instructions:
                vars(instruction).clear()
            vars(block).clear()
        function.blocks.clear()
