"""Kernels of blocks and threads as PTX: what a GPU realises otherwise, and the module around it.

Global memory is address space 1, shared memory address space 3 (LLVM's user guide for NVPTX).  A
grid is one-dimensional: the block loop's index is %ctaid.x, a thread loop's %tid.x.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm
from llvmlite import ir

from tensorkiln.compiler.codegen import scalars
from tensorkiln.compiler.codegen.emit import KernelEmitter, Scope
from tensorkiln.compiler.codegen.nvptx_launch import Launch, launch_of, trips_of
from tensorkiln.compiler.codegen.target import emit_assembly, machine, optimize
from tensorkiln.compiler.kernel.expr import Buffer, Var
from tensorkiln.compiler.kernel.program import Program
from tensorkiln.compiler.kernel.stmt import For, Kernel, LoopKind
from tensorkiln.compiler.kernel.target import Target

I32, I64, VOID = ir.IntType(32), ir.IntType(64), ir.VoidType()
GLOBAL, SHARED = ir.PointerType(addrspace=1), ir.PointerType(addrspace=3)
_ALIGN = 16  # of every argument and shared buffer, so that a thread moves 128 bits at once
_SPECIAL = "llvm.nvvm.read.ptx.sreg"
_BARRIER = "llvm.nvvm.barrier.cta.sync.aligned.all"


@dataclass(frozen=True, slots=True, eq=False)
class PtxModule:
    """A program as PTX: launch k starts kernel k of the program, whose calls say on what."""

    target: Target
    text: str
    program: Program
    launches: tuple[Launch, ...]


class NvptxEmitter(KernelEmitter):
    """The emission fold with loops over the blocks of a grid and the threads of a block."""

    def __init__(self, builder: ir.IRBuilder, kernel: Kernel, launch: Launch) -> None:
        super().__init__(builder)
        self.kernel, self.launch = kernel, launch
        self._shared = 0
        self._last: For | None = None

    def loop_device(self, stmt: For, scope: Scope) -> None:
        """One iteration a block or thread of the launch; more threads than needed skip it."""
        if stmt.kind is LoopKind.BLOCK:
            last = stmt.body[-1]
            self._last = last if isinstance(last, For) else None
            self._iteration(stmt, scope, self._special("ctaid.x"))
            return
        self._thread_loop(stmt, scope)
        if stmt is not self._last:
            # What follows a thread loop sees what all threads stored.
            self.barrier()

    def _thread_loop(self, stmt: For, scope: Scope) -> None:
        trips, threads = trips_of(self.kernel, stmt), self.launch.threads
        thread = self._special("tid.x")
        if trips == threads:
            self._iteration(stmt, scope, thread)
        elif trips < threads:
            with self.builder.if_then(self.builder.icmp_unsigned("<", thread, _index(trips))):
                self._iteration(stmt, scope, thread)
        else:
            inner = scope.child()
            inner.values["thread.first"] = self._value(stmt, scope, thread)
            strided = For(
                stmt.var, Var("thread.first"), stmt.stop, LoopKind.SERIAL, stmt.body,
                stmt.step * threads,
            )  # fmt: skip
            self.loop_serial(strided, inner)

    def _iteration(self, stmt: For, scope: Scope, number: ir.Value) -> None:
        inner = scope.child()
        inner.constants.pop(stmt.var.name, None)
        inner.values[stmt.var.name] = self._value(stmt, scope, number)
        self.block(stmt.body, inner)

    def _value(self, stmt: For, scope: Scope, number: ir.Value) -> ir.Value:
        """The loop variable's value in iteration `number`."""
        if stmt.step != 1:
            number = self.builder.mul(number, _index(stmt.step), flags=("nsw",))
        start = self.static(stmt.start, scope)
        return self.builder.add(number, _index(start), flags=("nsw",)) if start else number

    def _special(self, register: str) -> ir.Value:
        """A special register as an index; LLVM knows its range from the launch bounds."""
        function = _declare(self.builder.module, f"{_SPECIAL}.{register}", I32, [])
        return self.builder.zext(self.builder.call(function, []), I64)

    def barrier(self) -> None:
        """bar.sync 0: waits for all threads of the block."""
        function = _declare(self.builder.module, _BARRIER, VOID, [I32])
        self.builder.call(function, [ir.Constant(I32, 0)])

    def allocate(self, buffer: Buffer) -> ir.Value:
        """Shared memory of the block, or local memory, which registers replace where they can."""
        if buffer.space != "shared":
            return super().allocate(buffer)
        kind = ir.ArrayType(scalars.memory_type(buffer.dtype), max(buffer.elements, 1))
        name = f"{self.launch.entry}_shared{self._shared}"
        self._shared += 1
        memory = ir.GlobalVariable(self.builder.module, kind, name, addrspace=SHARED.addrspace)
        memory.linkage, memory.align = "internal", _ALIGN
        memory.type = SHARED  # llvmlite's global is a typed pointer
        return memory


def emit_ptx(program: Program, target: Target) -> PtxModule:
    """PTX for a program of GPU kernels, through LLVM's optimiser and its NVPTX back end."""
    launches = tuple(launch_of(kernel, k) for k, kernel in enumerate(program.kernels))
    module = llvm.parse_assembly(str(emit_gpu_module(program, launches, target)))
    module.verify()
    optimize(module, target)
    return PtxModule(target, emit_assembly(module, target), program, launches)


def emit_gpu_module(program: Program, launches: tuple[Launch, ...], target: Target) -> ir.Module:
    """The program's kernels as one LLVM module, before LLVM's own passes."""
    module = ir.Module(program.name)
    module.triple = target.triple
    module.data_layout = str(machine(target).target_data)
    overlapping = {c.kernel for c in program.calls if len(set(c.slots)) < len(c.slots)}
    for number, (kernel, launch) in enumerate(zip(program.kernels, launches, strict=True)):
        _emit_kernel(module, kernel, launch, number not in overlapping)
    return module


def _emit_kernel(module: ir.Module, kernel: Kernel, launch: Launch, disjoint: bool) -> None:
    """A kernel entry; `disjoint` promises that no two parameters overlap."""
    kind = ir.FunctionType(VOID, [GLOBAL] * len(kernel.parameters))
    function = ir.Function(module, kind, launch.entry)
    function.calling_convention = "ptx_kernel"
    function.attributes.add("nounwind")
    bounds = [function, "reqntidx", ir.Constant(I32, launch.threads)]
    module.add_named_metadata("nvvm.annotations", bounds)
    scope = Scope()
    for buffer, argument in zip(kernel.parameters, function.args, strict=True):
        argument.attributes.align = _ALIGN
        if disjoint:
            argument.add_attribute("noalias")
        scope.pointers[buffer.name] = argument
    entry = function.append_basic_block("entry")  # left to allocas
    builder = ir.IRBuilder(function.append_basic_block("start"))
    emitter = NvptxEmitter(builder, kernel, launch)
    if disjoint:
        inputs = kernel.parameters[: len(kernel.parameters) - kernel.outputs]
        emitter.frozen = frozenset(b.name for b in inputs)
    emitter.block(kernel.body, scope)
    builder.ret_void()
    with builder.goto_block(entry):
        builder.branch(function.basic_blocks[1])


def _declare(
    module: ir.Module, name: str, result: ir.Type, parameters: list[ir.Type]
) -> ir.Function:
    found = module.globals.get(name)
    return found or ir.Function(module, ir.FunctionType(result, parameters), name)


def _index(value: int) -> ir.Constant:
    return ir.Constant(I64, value)
