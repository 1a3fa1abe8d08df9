"""A program as one LLVM module: a function a kernel, and `tk_body`, which runs the steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from llvmlite import ir

from tensorkiln.compiler.codegen.bounds import Bounds
from tensorkiln.compiler.codegen.emit import KernelEmitter, Scope
from tensorkiln.compiler.codegen.steps import emit_steps
from tensorkiln.compiler.kernel.dependence import expressions
from tensorkiln.compiler.kernel.expr import THREADS, Expr, Var, children
from tensorkiln.compiler.kernel.program import Call, Program, Slot, Step, walk_slots
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Block,
    For,
    Invoke,
    Kernel,
    Store,
    walk,
)  # fmt: skip

I32, I64, POINTER, VOID = ir.IntType(32), ir.IntType(64), ir.PointerType(), ir.VoidType()
_PARALLEL = "tk_parallel_for"


_TRACE = "tk_trace"


def emit_program(
    program: Program,
    triple: str,
    data_layout: str = "",
    traced: bool = False,
    checked: bool = False,
) -> ir.Module:
    """The module with `i32 tk_body(ptr args, ptr constants, ptr workspace, i32 threads)`.

    If `traced`, it calls `void tk_trace(ptr args, ptr constants, ptr workspace, i64 place)` before
    (place 2n) and after (2n + 1) number n of `program.calls`. If `checked`, every access is (see
    codegen/bounds.py).
    """
    module = _module(program.name, triple, data_layout)
    disjoint = _disjoint(program)
    functions = [
        emit_kernel(module, kernel, _symbol(number, kernel), disjoint[number], checked=checked)
        for number, kernel in enumerate(program.kernels)
    ]
    _emit_body(module, program, functions, traced)
    return module


_STEPS = 256  # of one function: LLVM's time for a straight line of calls grows with its square
_TOGETHER = 4  # kernels in a module: each module costs some milliseconds of its own


def emit_parts(
    program: Program, triple: str, *, traced: bool = False, checked: bool = False
) -> Iterator[ir.Module]:
    """What `emit_program` gives, in modules of a few kernels each and a last one for `tk_body`."""
    disjoint = _disjoint(program)
    body = _module(program.name, triple, "")
    functions = []
    for first in range(0, len(program.kernels), _TOGETHER):
        module = _module(f"{program.name}.{first}", triple, "")
        for number, kernel in enumerate(program.kernels[first : first + _TOGETHER], first):
            name = _symbol(number, kernel)
            made = emit_kernel(module, kernel, name, disjoint[number], "hidden", checked=checked)
            function = ir.Function(body, made.function_type, name)
            function.linkage = "hidden"
            function.attributes.add("nounwind")
            functions.append(function)
        yield module
    _emit_body(body, program, functions, traced)
    yield body


def _module(name: str, triple: str, data_layout: str) -> ir.Module:
    module = ir.Module(name)
    module.triple = triple
    if data_layout:
        module.data_layout = data_layout
    return module


def _symbol(number: int, kernel: Kernel) -> str:
    return f"k{number}.{kernel.name}"


def _disjoint(program: Program) -> list[bool]:
    """For each kernel, whether no call of it gets one buffer twice."""
    overlapping = {c.kernel for c in program.calls if len(set(c.slots)) < len(c.slots)}
    return [number not in overlapping for number in range(len(program.kernels))]


def _emit_body(
    module: ir.Module, program: Program, functions: Sequence[ir.Function], traced: bool
) -> None:
    """`tk_body`, which runs the steps: many of them by way of functions that run some each."""
    kind = ir.FunctionType(I32, [POINTER, POINTER, POINTER, I32])
    body = ir.Function(module, kind, "tk_body")
    numbers = itertools.count()
    runs = [program.steps[first : first + _STEPS] for first in range(0, len(program.steps), _STEPS)]
    if len(runs) <= 1:
        _emit_run(body, program, program.steps, functions, numbers, traced)
        return
    builder = ir.IRBuilder(body.append_basic_block("entry"))
    for number, steps in enumerate(runs):
        part = ir.Function(module, kind, f"tk_body.{number}")
        part.linkage = "internal"
        part.attributes.add("noinline")
        part.attributes.add("nounwind")
        _emit_run(part, program, steps, functions, numbers, traced)
        builder.call(part, body.args)
    builder.ret(ir.Constant(I32, 0))


def _emit_run(
    function: ir.Function,
    program: Program,
    steps: Sequence[Step],
    functions: Sequence[ir.Function],
    numbers: Iterator[int],
    traced: bool,
) -> None:
    """The body of a function with the parameters of `tk_body` that runs `steps`."""
    module = function.module
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    arguments, constants, workspace, threads = function.args
    pointers = _Pointers(builder, steps, arguments, constants, workspace)

    def trace(place: int) -> None:
        if traced:
            kind = ir.FunctionType(VOID, [POINTER, POINTER, POINTER, I64])
            hook = module.globals.get(_TRACE) or ir.Function(module, kind, _TRACE)
            builder.call(hook, [arguments, constants, workspace, ir.Constant(I64, place)])

    def call(step: Call) -> None:
        number = next(numbers)
        places = [pointers.of(slot) for slot in step.slots]
        trace(2 * number)
        builder.call(functions[step.kernel], [*places, threads])
        trace(2 * number + 1)

    emit_steps(builder, steps, pointers.of, call)
    builder.ret(ir.Constant(I32, 0))


class _Pointers:
    """Addresses of slots; those of arguments are loaded once, before everything else."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        steps: Sequence[Step],
        arguments: ir.Value,
        constants: ir.Value,
        workspace: ir.Value,
    ) -> None:
        self._builder = builder
        self._bases = {"constants": constants, "workspace": workspace}
        self._loaded: dict[int, ir.Value] = {}
        for slot in dict.fromkeys(walk_slots(steps)):
            if slot.space == "argument":
                place = builder.gep(
                    arguments, [ir.Constant(I64, slot.position)], source_etype=POINTER
                )
                self._loaded[slot.position] = builder.load(place, typ=POINTER)

    def of(self, slot: Slot) -> ir.Value:
        """The address of a slot, for use at the current place."""
        if slot.space == "argument":
            return self._loaded[slot.position]
        offset = ir.Constant(I64, slot.position)
        return self._builder.gep(self._bases[slot.space], [offset], source_etype=ir.IntType(8))


def emit_kernel(
    module: ir.Module,
    kernel: Kernel,
    name: str,
    disjoint: bool,
    linkage: str = "internal",
    checked: bool = False,
) -> ir.Function:
    """`void name(ptr..., i32 threads)`; `disjoint` promises that no two parameters overlap."""
    bounds = Bounds(module, kernel.name) if checked else None
    kind = ir.FunctionType(VOID, [POINTER] * len(kernel.parameters) + [I32])
    function = ir.Function(module, kind, name)
    function.linkage = linkage
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    scope = Scope()
    for buffer, argument in zip(kernel.parameters, function.args, strict=False):
        if disjoint:
            argument.add_attribute("noalias")
        scope.pointers[buffer.name] = argument
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    scope.values[THREADS.name] = builder.zext(function.args[-1], I64)
    outliner = _Outliner(module, name, function.args[-1], disjoint, bounds)
    start = builder.append_basic_block("start")
    written = {b.name for b in kernel.written} if disjoint else {b.name for b in kernel.parameters}
    frozen = frozenset(b.name for b in kernel.parameters if b.name not in written)
    if disjoint:
        frozen |= {b.name for b in kernel.scratches}  # written now and then (see `store`)
    KernelEmitterAt(builder, start, outliner, frozen, bounds).block(kernel.body, scope)
    _order_streams(builder, kernel.body)
    builder.ret_void()
    with builder.goto_block(function.entry_basic_block):
        builder.branch(start)
    return function


class KernelEmitterAt(KernelEmitter):
    """A kernel emitter whose code starts in `start`, the entry block being left to allocas."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        start: ir.Block,
        parallel: _Outliner | None,
        frozen: frozenset[str],
        bounds: Bounds | None,
    ) -> None:
        super().__init__(builder, parallel)
        self.frozen, self.bounds = frozen, bounds
        builder.position_at_end(start)


class _Outliner:
    """Moves the body of a parallel loop to a function of a range of iterations."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        threads: ir.Value,
        disjoint: bool,
        bounds: Bounds | None,
    ) -> None:
        self.module, self.name, self.threads, self.disjoint = module, name, threads, disjoint
        self.bounds = bounds
        self.count = 0

    def __call__(self, emitter: KernelEmitter, stmt: For, scope: Scope) -> None:
        buffers, names = _free(stmt.body)
        pointers = [n for n in scope.pointers if n in buffers]
        values = [n for n in scope.values if n in names]
        captured = [scope.pointers[n] for n in pointers] + [scope.values[n] for n in values]
        self.count += 1
        ranged = self._range_function(stmt, scope, pointers, values, captured, emitter.frozen)
        record = ir.LiteralStructType([v.type for v in captured])
        thunk = self._thunk(ranged, record)
        builder = emitter.builder
        with builder.goto_entry_block():
            context = builder.alloca(record)
        context.type = POINTER  # llvmlite's alloca gives a typed pointer
        for position, value in enumerate(captured):
            builder.store(value, _field(builder, context, record, position))
        count = emitter.expr(stmt.stop, scope)
        kind = ir.FunctionType(VOID, [POINTER, POINTER, I64, I32])
        runner = self.module.globals.get(_PARALLEL) or ir.Function(self.module, kind, _PARALLEL)
        builder.call(runner, [thunk, context, count, self.threads])

    def _range_function(
        self,
        stmt: For,
        scope: Scope,
        pointers: list[str],
        values: list[str],
        captured: list[ir.Value],
        frozen: frozenset[str],
    ) -> ir.Function:
        kinds = [v.type for v in captured]
        function = ir.Function(
            self.module, ir.FunctionType(VOID, [*kinds, I64, I64]), f"{self.name}.part{self.count}"
        )
        function.linkage = "internal"
        function.attributes.add("nounwind")
        # LLVM would optimise it, inline it into the thunk, and optimise it there once more.
        function.attributes.add("noinline")
        inner = Scope(constants=dict(scope.constants))
        for name, argument in zip(pointers, function.args, strict=False):
            if self.disjoint:
                argument.add_attribute("noalias")
            inner.pointers[name] = argument
        for name, argument in zip(values, function.args[len(pointers) :], strict=False):
            inner.values[name] = argument
        first, last = function.args[-2:]
        inner.values["range.first"], inner.values["range.last"] = first, last
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        start = builder.append_basic_block("start")
        emitter = KernelEmitterAt(builder, start, None, frozen, self.bounds)
        bounded = For(
            Var(stmt.var.name, extent=stmt.var.extent),
            Var("range.first"),
            Var("range.last"),
            stmt.kind,
            stmt.body,
        )
        emitter.loop_serial(bounded, inner)
        _order_streams(builder, stmt.body)
        builder.ret_void()
        with builder.goto_block(function.entry_basic_block):
            builder.branch(start)
        return function

    def _thunk(self, ranged: ir.Function, record: ir.LiteralStructType) -> ir.Function:
        kind = ir.FunctionType(VOID, [POINTER, I64, I64])
        thunk = ir.Function(self.module, kind, f"{self.name}.thunk{self.count}")
        thunk.linkage = "internal"
        thunk.attributes.add("nounwind")
        builder = ir.IRBuilder(thunk.append_basic_block("entry"))
        context, first, last = thunk.args
        fields = [
            builder.load(_field(builder, context, record, k), typ=element)
            for k, element in enumerate(record.elements)
        ]
        builder.call(ranged, [*fields, first, last])
        builder.ret_void()
        return thunk


def _order_streams(builder: ir.IRBuilder, block: Block) -> None:
    """Makes streaming stores visible before anything that other threads do next."""
    if any(isinstance(stmt, Store) and stmt.streaming for stmt in walk(block)):
        builder.fence("seq_cst")


def _field(
    builder: ir.IRBuilder, record: ir.Value, kind: ir.LiteralStructType, position: int
) -> ir.Value:
    steps = [ir.Constant(I32, 0), ir.Constant(I32, position)]
    return builder.gep(record, steps, source_etype=kind)


def _free(block: Block) -> tuple[set[str], set[str]]:
    """The names of buffers and of values that a block may read from outside."""
    buffers: set[str] = set()
    names: set[str] = set()

    def visit(expr: Expr) -> None:
        if isinstance(expr, Var):
            names.add(expr.name)
            return
        if hasattr(expr, "buffer"):
            buffers.add(expr.buffer.name)
        for child in children(expr):
            visit(child)

    for stmt in walk(block):
        for expr in expressions(stmt):
            visit(expr)
        if isinstance(stmt, Store | Alloc):
            buffers.add(stmt.buffer.name)
        if isinstance(stmt, Invoke):
            buffers.update(window.buffer.name for window in stmt.windows)
    return buffers, names
