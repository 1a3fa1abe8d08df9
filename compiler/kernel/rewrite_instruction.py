"""replace_by_instruction: a loop that does what an instruction does becomes that instruction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Buffer, Const, Expr, Index, Load, Var, children
from tensorkiln.compiler.kernel.rewrite import find_loop, refuse, replace_loop
from tensorkiln.compiler.kernel.stmt import (
    Alloc,
    Block,
    For,
    If,
    Instruction,
    Invoke,
    Kernel,
    Let,
    Stmt,
    Store,
    Window,
)  # fmt: skip
from tensorkiln.compiler.kernel.substitute import bound_names, substitute_expr


def replace_by_instruction(kernel: Kernel, name: str, instruction: Instruction) -> Kernel:
    """Replaces a loop that matches the instruction's body.

        instruction @add4(a: f32[4], b: f32[4]) { vector l in 0..4 { a[l] = add(a[l], b[l]) } }

        vector v in 0..4 {                                 ->   invoke @add4(y[i, 0], x[i, 8])
          y[i, v] = add(y[i, v], x[i, v + 8])
        }

    Statements and expressions must be the same but for the names of variables, and for buffers:
    a parameter stands for a window whose place is the same in all accesses and does not depend on
    the loop.
    """
    target = find_loop(kernel, name)
    matcher = _Matcher(kernel, target, instruction)
    matcher.block(instruction.body, (target,))
    return replace_loop(kernel, target, lambda old: (Invoke(instruction, matcher.windows()),))


class _Matcher:
    """`variables` maps names of the instruction's body to the kernel's, `bases` parameters to
    windows."""

    def __init__(self, kernel: Kernel, target: For, instruction: Instruction) -> None:
        self.kernel, self.target, self.instruction = kernel, target, instruction
        self.parameters = {b.name: b for b in instruction.parameters}
        self.own = {target.var.name, *bound_names(target.body)}
        self.variables: dict[str, Expr] = {}
        self.locals: dict[str, Buffer] = {}
        self.bases: dict[str, Window] = {}

    def windows(self) -> tuple[Window, ...]:
        for parameter in self.instruction.parameters:
            if parameter.name not in self.bases:
                self.fail(f"its parameter {parameter.name} is not used")
        return tuple(self.bases[p.name] for p in self.instruction.parameters)

    def fail(self, reason: str) -> NoReturn:
        refuse(self.kernel, self.target, f"is no {self.instruction.name}: {reason}")

    def require(self, same: bool, what: str) -> None:
        if not same:
            self.fail(f"{what} differ")

    def block(self, pattern: Block, block: Block) -> None:
        self.require(len(pattern) == len(block), "numbers of statements")
        for wanted, stmt in zip(pattern, block, strict=True):
            self.statement(wanted, stmt)

    def statement(self, wanted: Stmt, stmt: Stmt) -> None:
        match wanted, stmt:
            case Let(var, value), Let(own, found):
                self.expr(value, found)
                self.require(var.dtype == own.dtype, "types of lets")
                self.variables[var.name] = own
            case Store(buffer, index, value), Store(own_buffer, own_index, found):
                self.expr(value, found)
                self.access(buffer, index, own_buffer, own_index)
            case Alloc(buffer), Alloc(own_buffer):
                self.require(
                    replace(buffer, name=own_buffer.name) == own_buffer, "allocated buffers"
                )
                self.locals[buffer.name] = own_buffer
            case For(), For():
                self.require((wanted.kind, wanted.step) == (stmt.kind, stmt.step), "loops")
                self.expr(wanted.start, stmt.start)
                self.expr(wanted.stop, stmt.stop)
                self.variables[wanted.var.name] = stmt.var
                self.block(wanted.body, stmt.body)
            case If(condition, body), If(own_condition, own_body):
                self.expr(condition, own_condition)
                self.block(body, own_body)
            case _:
                self.fail(f"a {type(stmt).__name__} stands for a {type(wanted).__name__}")

    def expr(self, wanted: Expr, found: Expr) -> None:
        match wanted, found:
            case Load(buffer, index, guard), Load(own_buffer, own_index, own_guard):
                self.access(buffer, index, own_buffer, own_index)
                self.require((guard is None) == (own_guard is None), "guards")
                if guard is not None and own_guard is not None:
                    self.expr(guard, own_guard)
            case Var(name), Var():
                self.require(self.variables.get(name) == found, "variables")
            case Const(), Const():
                self.require(wanted == found, "literals")
            case _:
                # All else is an op: the same one, on operands that match in turn.
                same = type(wanted) is type(found) and _head(wanted) == _head(found)
                self.require(same, "operations")
                for a, b in zip(children(wanted), children(found), strict=True):
                    self.expr(a, b)

    def access(self, buffer: Buffer, index: Index, own: Buffer, own_index: Index) -> None:
        """Matches `buffer[index]` of the instruction with `own[own_index]` of the kernel."""
        moved = [substitute_expr(e, self.variables) for e in index]
        if buffer.name in self.locals:
            self.require(self.locals[buffer.name] == own, "local buffers")
            self.require(
                all(ix.sub(a, b) == ix.ZERO for a, b in zip(moved, own_index, strict=True)),
                "indices",
            )
            return
        outer = len(own.shape) - len(buffer.shape)
        self.require(outer >= 0 and own.dtype == buffer.dtype, "buffers")
        base = (
            *own_index[:outer],
            *(ix.sub(a, b) for a, b in zip(own_index[outer:], moved, strict=True)),
        )
        if any(ix.depends(e, name) for e in base for name in self.own):
            self.fail(f"{own.name} is not accessed as {buffer.name} is")
        window = Window(own, base)
        self.require(self.bases.setdefault(buffer.name, window) == window, f"windows of {own.name}")


def _head(expr: Expr) -> Sequence[object]:
    """What an expression is but for its operands."""
    return [getattr(expr, "op", None), expr.dtype]
