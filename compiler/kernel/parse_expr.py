"""Reads the scalar expressions in the text of kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

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
from tensorkiln.compiler.kernel.text import INFIX, KEYWORDS

_OPERATORS = {sign: (op, tightness) for op, (sign, tightness) in INFIX.items()}
_MAX_HEIGHT = 150


class Scope:
    """The buffers and variables visible in a block."""

    def __init__(self, buffers: Mapping[str, Buffer], variables: Mapping[str, Var]) -> None:
        self.buffers = dict(buffers)
        self.variables = dict(variables)

    def inner(self) -> Scope:
        """A scope that can be added to without touching this one."""
        return Scope(self.buffers, self.variables)


class ExpressionParser:
    """Expressions over the buffers and variables in `scope`."""

    def __init__(self, text: str) -> None:
        self.tokens = Tokens(text, "@")
        self.scope = Scope({}, {})
        # By identity; the expression is held so that its identity stays its own.
        self._heights: dict[int, tuple[int, Expr]] = {}

    def name(self) -> str:
        """A name, plain or in quotes."""
        token = self.tokens.token
        if token.kind not in ("name", "string") or (
            token.kind == "name" and token.text in KEYWORDS
        ):
            self.tokens.fail(f"expected a name, found {self.tokens.found()}")
        return self.tokens.advance().text

    def dtype(self) -> DType:
        """The name of a dtype."""
        token = self.tokens.take("name", "a dtype")
        if not is_dtype_name(token.text):
            self.tokens.fail(f"{token.text!r} is no dtype", token)
        return dtype_named(token.text)

    def access(self) -> tuple[Buffer, tuple[Expr, ...]]:
        """`buffer[index]`."""
        token = self.tokens.token
        buffer = self.scope.buffers.get(self.name())
        if buffer is None:
            self.tokens.fail(f"no buffer {token.text!r} is in scope", token)
        self.tokens.expect("[")
        index: list[Expr] = []
        while not self.tokens.at("]"):
            if index:
                self.tokens.expect(",")
            index.append(self.nested())
        self.tokens.expect("]")
        return buffer, tuple(index)

    def expr(self) -> Expr:
        """A whole expression; its tree is not too high to be walked recursively."""
        self._heights.clear()
        return self.nested()

    def _made(self, expr: Expr) -> Expr:
        """`expr`, if its tree is not too high."""
        height = 1 + max((self._heights.get(id(c), (0, c))[0] for c in children(expr)), default=0)
        if height > _MAX_HEIGHT:
            self.tokens.fail(f"the expression is more than {_MAX_HEIGHT} operations high")
        self._heights[id(expr)] = height, expr
        return expr

    def nested(self) -> Expr:
        """An expression one level deeper, with the guard that may follow it."""
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
            expr = self.nested()
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
        name = self.name()
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
                index.append(self.nested())
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
                dtype = self.dtype()
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
        arguments = [self.nested()]
        while tokens.accept(","):
            if op in ("convert", "bitcast"):
                dtype = self.dtype()
                tokens.expect(")")
                return (Convert if op == "convert" else Bitcast)(arguments[0], dtype)
            arguments.append(self.nested())
        tokens.expect(")")
        match op, arguments:
            case "fma", [a, b, c]:
                return Fma(a, b, c)
            case "select", [a, b, c]:
                return Select(a, b, c)
            case "again", [Load() as load]:
                return replace(load, again=True)
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
