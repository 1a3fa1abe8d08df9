"""Reads the text form of kernels (compiler/kernel/text.py).

Names are resolved to the buffers and variables in scope; whether the kernel makes sense beyond
that is for the verifier.  Malformed text raises ParseError and nothing else, however hostile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tensorkiln.compiler.ir.dtypes import BOOL, DType, dtype_named, is_dtype_name
from tensorkiln.compiler.ir.tokens import Token, Tokens
from tensorkiln.compiler.kernel.expr import (
    BINARY_OPS,
    INDEX,
    UNARY_OPS,
    Binary,
    Bitcast,
    Buffer,
    Const,
    Convert,
    Expr,
    Fma,
    Load,
    Select,
    Unary,
    Var,
    children,
)  # fmt: skip
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
from tensorkiln.compiler.kernel.text import INFIX, KEYWORDS

_OPERATORS = {sign: (op, tightness) for op, (sign, tightness) in INFIX.items()}
_LOOPS = {kind.value: kind for kind in LoopKind}
_MAX_HEIGHT = 150
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


class _Scope:
    """The buffers and variables visible in a block."""

    def __init__(self, buffers: Mapping[str, Buffer], variables: Mapping[str, Var]) -> None:
        self.buffers = dict(buffers)
        self.variables = dict(variables)

    def inner(self) -> _Scope:
        return _Scope(self.buffers, self.variables)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = Tokens(text, "@")
        self.instructions: dict[str, Instruction] = {}
        self.scope = _Scope({}, {})
        # By identity; the expression is held so that its identity stays its own.
        self._heights: dict[int, tuple[int, Expr]] = {}

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
        parameters, _ = self._parameters()
        self.instructions[name] = Instruction(name, parameters, self._block())

    def _kernel(self) -> Kernel:
        name = self.tokens.take("sigil", "@name").text[1:]
        parameters, outputs = self._parameters()
        return Kernel(name, parameters, outputs, self._block())

    def _parameters(self) -> tuple[tuple[Buffer, ...], int]:
        self.scope = _Scope({}, {})
        parameters: list[Buffer] = []
        outputs = 0
        self.tokens.expect("(")
        while not self.tokens.at(")"):
            if parameters:
                self.tokens.expect(",")
            name = self._name()
            self.tokens.expect(":")
            if self.tokens.accept("out"):
                outputs += 1
            elif outputs:
                self.tokens.fail("an input follows an output; outputs come last")
            parameters.append(self._buffer(name, "global"))
        self.tokens.expect(")")
        return tuple(parameters), outputs

    def _buffer(self, name: str, default_space: str) -> Buffer:
        """The rest of a buffer's declaration, `f32[2,3] local`."""
        start = self.tokens.token
        dtype = self._dtype()
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
            space = self._name()
        buffer = Buffer(name, tuple(shape), dtype, space)
        self.scope.buffers[name] = buffer
        return buffer

    def _name(self) -> str:
        token = self.tokens.token
        if token.kind not in ("name", "string") or (
            token.kind == "name" and token.text in KEYWORDS
        ):
            self.tokens.fail(f"expected a name, found {self.tokens.found()}")
        return self.tokens.advance().text

    def _dtype(self) -> DType:
        token = self.tokens.take("name", "a dtype")
        if not is_dtype_name(token.text):
            self.tokens.fail(f"{token.text!r} is no dtype", token)
        return dtype_named(token.text)

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
            condition = self._expr()
            return If(condition, self._block())
        if tokens.accept("alloc"):
            name = self._name()
            tokens.expect(":")
            return Alloc(self._buffer(name, "local"))
        if tokens.accept("barrier"):
            return Barrier()
        if tokens.accept("invoke"):
            return self._invoke()
        streaming = tokens.accept("stream")
        buffer, index = self._access()
        tokens.expect("=")
        return Store(buffer, index, self._expr(), streaming)

    def _let(self) -> Let:
        name = self._name()
        self.tokens.expect(":")
        dtype = self._dtype()
        extent = self.tokens.integer("an extent") if self.tokens.accept("extent") else None
        self.tokens.expect("=")
        value = self._expr()
        var = Var(name, dtype, extent)
        self.scope.variables[name] = var
        return Let(var, value)

    def _for(self, kind: LoopKind) -> For:
        tokens = self.tokens
        head = tokens.token
        name = self._name()
        dtype = self._dtype() if tokens.accept(":") else INDEX
        tokens.expect("in")
        start = self._expr()
        tokens.expect("..")
        stop = self._expr()
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
            windows.append(Window(*self._access()))
        self.tokens.expect(")")
        return Invoke(instruction, tuple(windows))

    def _access(self) -> tuple[Buffer, tuple[Expr, ...]]:
        token = self.tokens.token
        buffer = self.scope.buffers.get(self._name())
        if buffer is None:
            self.tokens.fail(f"no buffer {token.text!r} is in scope", token)
        self.tokens.expect("[")
        index: list[Expr] = []
        while not self.tokens.at("]"):
            if index:
                self.tokens.expect(",")
            index.append(self._nested())
        self.tokens.expect("]")
        return buffer, tuple(index)

    # Expressions

    def _expr(self) -> Expr:
        """A whole expression; its tree is not too high to be walked recursively."""
        self._heights.clear()
        return self._nested()

    def _made(self, expr: Expr) -> Expr:
        """`expr`, if its tree is not too high."""
        height = 1 + max((self._heights.get(id(c), (0, c))[0] for c in children(expr)), default=0)
        if height > _MAX_HEIGHT:
            self.tokens.fail(f"the expression is more than {_MAX_HEIGHT} operations high")
        self._heights[id(expr)] = height, expr
        return expr

    def _nested(self) -> Expr:
        self.tokens.nest()
        expr = self._guarded(self._infix(0))
        self.tokens.leave()
        return expr

    def _guarded(self, expr: Expr) -> Expr:
        if not self.tokens.at("where"):
            return expr
        if not isinstance(expr, Load) or expr.guard is not None:
            self.tokens.fail("only a load has a guard")
        self.tokens.advance()
        return self._made(Load(expr.buffer, expr.index, self._infix(0)))

    def _infix(self, tightness: int) -> Expr:
        """Operators that bind at least as tightly as `tightness`, by precedence climbing."""
        left = self._atom()
        while self.tokens.token.kind == "sign":
            sign = self.tokens.token
            op, own = _OPERATORS.get(sign.text, ("", -1))
            if own < max(tightness, 0):
                break
            self.tokens.advance()
            if left.dtype != INDEX:
                self.tokens.fail(f"{sign.text!r} is for indices; write {op}(a, b)", sign)
            left = self._made(Binary(op, left, self._infix(own + 1)))
        return left

    def _atom(self) -> Expr:
        tokens = self.tokens
        token = tokens.token
        if token.kind == "number" or token.text == "-":
            return self._number()
        if tokens.accept("("):
            expr = self._nested()
            tokens.expect(")")
            return expr
        if token.kind == "name" and token.text in ("true", "false"):
            return Const(tokens.advance().text == "true", BOOL)
        if token.kind == "name" and token.text.startswith(("inf.", "nan.")):
            return self._number()
        return self._named()

    def _named(self) -> Expr:
        """What starts with a name: a call, a load or a variable."""
        tokens = self.tokens
        token = tokens.token
        name = self._name()
        if tokens.at("(") and token.kind == "name":
            return self._made(self._call(token))
        variable = self.scope.variables.get(name)
        buffer = self.scope.buffers.get(name)
        if tokens.at("[") and buffer is not None:
            tokens.advance()
            index: list[Expr] = []
            while not tokens.at("]"):
                if index:
                    tokens.expect(",")
                index.append(self._nested())
            tokens.expect("]")
            return self._made(Load(buffer, tuple(index)))
        if variable is None:
            tokens.fail(f"nothing named {name!r} is in scope", token)
        return variable

    def _number(self) -> Const:
        tokens = self.tokens
        token = tokens.token
        negative = tokens.accept("-")
        if tokens.token.kind == "name":
            text, _, dtype_name = tokens.advance().text.partition(".")
            value: int | float = math.inf if text == "inf" else math.nan
            if text not in ("inf", "nan") or not is_dtype_name(dtype_name):
                tokens.fail("expected a number", token)
            dtype = dtype_named(dtype_name)
        else:
            text = tokens.take("number", "a number").text
            value = int(text) if text.isdigit() else float(text)
            dtype = INDEX
            if tokens.token.kind == "name" and is_dtype_name(tokens.token.text):
                dtype = self._dtype()
        value = -value if negative else value
        if dtype.is_float:
            return Const(float(value), dtype)
        if not isinstance(value, int) or not _fits(value, dtype):
            tokens.fail(f"{value} is no {dtype}", token)
        return Const(value, dtype)

    def _call(self, name: Token) -> Expr:
        tokens = self.tokens
        op = name.text
        tokens.expect("(")
        arguments = [self._nested()]
        while tokens.accept(","):
            if op in ("convert", "bitcast"):
                dtype = self._dtype()
                tokens.expect(")")
                return (Convert if op == "convert" else Bitcast)(arguments[0], dtype)
            arguments.append(self._nested())
        tokens.expect(")")
        match op, arguments:
            case "fma", [a, b, c]:
                return Fma(a, b, c)
            case "select", [a, b, c]:
                return Select(a, b, c)
            case _, [a] if op in UNARY_OPS:
                return Unary(op, a)
            case _, [a, b] if op in BINARY_OPS:
                return Binary(op, a, b)
            case _:
                tokens.fail(f"there is no op {op!r} of {len(arguments)} operands", name)


def _fits(value: int, dtype: DType) -> bool:
    if dtype.kind == "bool":
        return value in (0, 1)
    low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    return low <= value < low + (1 << dtype.bits)
