"""Reads the text form of kernels (compiler/kernel/text.py).

Names are resolved to the buffers and variables in scope; whether the kernel makes sense beyond
that is for the verifier.  Malformed text raises ParseError and nothing else, however hostile.
"""

from __future__ import annotations

import math

from tensorkiln.compiler.kernel.expr import (
    INDEX,
    THREADS,
    Buffer,
    Const,
    Var,
)  # fmt: skip
from tensorkiln.compiler.kernel.parse_expr import ExpressionParser, Scope
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Barrier,
    Block,
    For,
    If,
    Instruction,
    Invoke,
    Kernel,
    Let,
    LoopKind,
    Stmt,
    Store,
    Window,
)  # fmt: skip

_LOOPS = {kind.value: kind for kind in LoopKind}
_MAX_BYTES = 1 << 62


def parse_kernel(text: str) -> Kernel:
    """The only kernel in `text`."""
    parser = _Parser(text)
    kernels = parser.kernels()
    if len(kernels) != 1:
        parser.tokens.fail(f"expected one kernel, found {len(kernels)}")
    return kernels[0]


def parse_kernels(text: str) -> tuple[Kernel, ...]:
    """All kernels in `text`, in order; instructions come before the kernels that invoke them."""
    return _Parser(text).kernels()


def parse_instruction(text: str) -> Instruction:
    """The only instruction in `text`."""
    parser = _Parser(text)
    if parser.kernels() or len(parser.instructions) != 1:
        parser.tokens.fail("expected one instruction and no kernel")
    (instruction,) = parser.instructions.values()
    return instruction


class _Parser(ExpressionParser):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.instructions: dict[str, Instruction] = {}

    def kernels(self) -> tuple[Kernel, ...]:
        found: list[Kernel] = []
        while self.tokens.token.kind != "end":
            if self.tokens.accept("instruction"):
                self._instruction()
            else:
                self.tokens.expect("kernel")
                found.append(self._kernel())
        return tuple(found)

    def _instruction(self) -> None:
        name = self.tokens.take("sigil", "@name").text[1:]
        parameters, *_ = self._parameters()
        self.instructions[name] = Instruction(name, parameters, self._block())

    def _kernel(self) -> Kernel:
        name = self.tokens.take("sigil", "@name").text[1:]
        parameters, outputs, scratch = self._parameters()
        return Kernel(name, parameters, outputs, self._block(), scratch)

    def _parameters(self) -> tuple[tuple[Buffer, ...], int, int]:
        self.scope = Scope({}, {THREADS.name: THREADS})
        parameters: list[Buffer] = []
        outputs = scratch = 0
        self.tokens.expect("(")
        while not self.tokens.at(")"):
            if parameters:
                self.tokens.expect(",")
            name = self.name()
            self.tokens.expect(":")
            if self.tokens.accept("scratch"):
                scratch += 1
                outputs += 1
            elif scratch:
                self.tokens.fail("a parameter follows scratch memory, which comes last")
            elif self.tokens.accept("out"):
                outputs += 1
            elif outputs:
                self.tokens.fail("an input follows an output; outputs come last")
            parameters.append(self._buffer(name, "global"))
        self.tokens.expect(")")
        return tuple(parameters), outputs, scratch

    def _buffer(self, name: str, default_space: str) -> Buffer:
        """The rest of a buffer's declaration, `f32[2,3] local`."""
        start = self.tokens.token
        dtype = self.dtype()
        shape: list[int] = []
        self.tokens.expect("[")
        while not self.tokens.at("]"):
            if shape:
                self.tokens.expect(",")
            shape.append(self.tokens.integer("a size"))
        self.tokens.expect("]")
        if min(shape, default=0) < 0 or math.prod(s or 1 for s in shape) > _MAX_BYTES // 8:
            self.tokens.fail(f"no buffer has shape {tuple(shape)}", start)
        space = default_space
        if self.tokens.token.kind in ("name", "string"):
            space = self.name()
        buffer = Buffer(name, tuple(shape), dtype, space)
        self.scope.buffers[name] = buffer
        return buffer

    # Statements

    def _block(self) -> Block:
        outer, self.scope = self.scope, self.scope.inner()
        self.tokens.nest()
        self.tokens.expect("{")
        stmts: list[Stmt] = []
        while not self.tokens.accept("}"):
            stmts.append(self._stmt())
        self.tokens.leave()
        self.scope = outer
        return tuple(stmts)

    def _stmt(self) -> Stmt:
        tokens = self.tokens
        if tokens.token.kind == "name" and tokens.token.text in _LOOPS:
            return self._for(_LOOPS[tokens.advance().text])
        if tokens.accept("let"):
            return self._let()
        if tokens.accept("if"):
            condition = self.expr()
            return If(condition, self._block())
        if tokens.accept("alloc"):
            name = self.name()
            tokens.expect(":")
            return Alloc(self._buffer(name, "local"))
        if tokens.accept("barrier"):
            return Barrier()
        if tokens.accept("invoke"):
            return self._invoke()
        streaming = tokens.accept("stream")
        buffer, index = self.access()
        tokens.expect("=")
        return Store(buffer, index, self.expr(), streaming)

    def _let(self) -> Let:
        name = self.name()
        self.tokens.expect(":")
        dtype = self.dtype()
        extent = self.tokens.integer("an extent") if self.tokens.accept("extent") else None
        self.tokens.expect("=")
        value = self.expr()
        var = Var(name, dtype, extent)
        self.scope.variables[name] = var
        return Let(var, value)

    def _for(self, kind: LoopKind) -> For:
        tokens = self.tokens
        head = tokens.token
        name = self.name()
        dtype = self.dtype() if tokens.accept(":") else INDEX
        tokens.expect("in")
        start = self.expr()
        tokens.expect("..")
        stop = self.expr()
        step = tokens.integer("a step") if tokens.accept("step") else 1
        extent: int | None = None
        if isinstance(stop, Const) and stop.dtype == INDEX:
            extent = int(stop.value)
        if tokens.accept("extent"):
            extent = None if tokens.accept("none") else tokens.integer("an extent")
        elif extent is None:
            tokens.fail(f"loop {name} needs an extent, because its end is no literal", head)
        var = Var(name, dtype, extent)
        shadowed = self.scope.variables.get(name)
        self.scope.variables[name] = var
        body = self._block()
        del self.scope.variables[name]
        if shadowed is not None:
            self.scope.variables[name] = shadowed
        return For(var, start, stop, kind, body, step)

    def _invoke(self) -> Invoke:
        token = self.tokens.take("sigil", "@instruction")
        instruction = self.instructions.get(token.text[1:])
        if instruction is None:
            self.tokens.fail(f"no instruction {token.text[1:]!r} is defined above", token)
        self.tokens.expect("(")
        windows: list[Window] = []
        while not self.tokens.at(")"):
            if windows:
                self.tokens.expect(",")
            windows.append(Window(*self.access()))
        self.tokens.expect(")")
        return Invoke(instruction, tuple(windows))
