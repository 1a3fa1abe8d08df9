"""The text form of kernels; compiler/kernel/parse.py reads it back.

    kernel @scale(x: f32[100,30], y: out f32[100,30]) {
      parallel i in 0..100 {
        vector l in 0..16 {
          let t: f32 = mul(x[i, l + 16] where l + 16 < 30, 2.0f32)
          if l + 16 < 30 {
            y[i, l + 16] = t
          }
        }
      }
    }

A load's guard follows it (`where`).  Arithmetic of indices (i64) is infix; every other expression
is `op(arguments)`.  A literal carries its dtype (`1.0f32`, `3u8`, `inf.f32`) unless it is an index
or a bool.  A loop's `extent`, the bound its variable carries, is written where it is not the loop's
own end (`none`: no bound).  Instructions that a kernel invokes are printed before it.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tensorkiln.compiler.ir.dtypes import BOOL, is_dtype_name
from tensorkiln.compiler.ir.names import is_identifier, quote
from tensorkiln.compiler.ir.text import print_float
from tensorkiln.compiler.kernel.expr import (
    INDEX,
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
    walk,
)  # fmt: skip

COMPARE, SUM, PRODUCT = 1, 2, 3
# Infix operators of index arithmetic, with how tightly they bind.
INFIX: dict[str, tuple[str, int]] = {
    "lt": ("<", COMPARE), "le": ("<=", COMPARE), "gt": (">", COMPARE), "ge": (">=", COMPARE),
    "eq": ("==", COMPARE), "ne": ("!=", COMPARE), "add": ("+", SUM), "sub": ("-", SUM),
    "mul": ("*", PRODUCT), "floordiv": ("//", PRODUCT), "mod": ("%", PRODUCT),
}  # fmt: skip
KEYWORDS = frozenset(
    [kind.value for kind in LoopKind]
    + [
        "alloc",
        "let",
        "if",
        "where",
        "barrier",
        "invoke",
        "stream",
        "kernel",
        "instruction",
        "in",
        "step",
        "extent",
        "none",
        "out",
        "scratch",
        "true",
        "false",
        "inf",
        "nan",
    ]
)


def print_kernel(kernel: Kernel) -> str:
    """The kernel's text, after that of the instructions it invokes."""
    inputs = len(kernel.parameters) - kernel.outputs
    results = kernel.outputs - kernel.scratch
    roles = [*[""] * inputs, *["out "] * results, *["scratch "] * kernel.scratch]
    parameters = ", ".join(map(_declaration, kernel.parameters, roles))
    lines = [line for found in _instructions(kernel.body) for line in _instruction(found)]
    lines += [f"kernel @{_name(kernel.name)}({parameters}) {{", *_block(kernel.body), "}", ""]
    return "\n".join(lines)


def print_block(block: Block) -> str:
    """The statements of a block, one a line, those of nested blocks indented."""
    return "\n".join(line for stmt in block for line in _stmt(stmt))


def print_expr(expr: Expr) -> str:
    """One expression."""
    return _expr(expr, 0)


def is_plain_name(name: str) -> bool:
    """True if a name is written without quotes."""
    reserved = name in KEYWORDS or name.startswith(("inf.", "nan.")) or is_dtype_name(name)
    return is_identifier(name) and not reserved


def _instructions(block: Block) -> list[Instruction]:
    found: dict[Instruction, None] = {}
    for stmt in walk(block):
        if isinstance(stmt, Invoke):
            found.update(dict.fromkeys(_instructions(stmt.instruction.body)))
            found[stmt.instruction] = None
    return list(found)


def _instruction(instruction: Instruction) -> list[str]:
    parameters = ", ".join(_declaration(buffer) for buffer in instruction.parameters)
    head = f"instruction @{_name(instruction.name)}({parameters}) {{"
    return [head, *_block(instruction.body), "}", ""]


def _declaration(buffer: Buffer, role: str = "") -> str:
    space = "" if buffer.space == "global" else f" {_name(buffer.space)}"
    return f"{_name(buffer.name)}: {role}{_type(buffer)}{space}"


def _type(buffer: Buffer) -> str:
    return f"{buffer.dtype}[{','.join(map(str, buffer.shape))}]"


def _name(name: str) -> str:
    return name if is_plain_name(name) else quote(name)


def _block(block: Block) -> list[str]:
    return ["  " + line for stmt in block for line in _stmt(stmt)]


def _stmt(stmt: Stmt) -> list[str]:
    match stmt:
        case Let(var, value):
            extent = "" if var.extent is None else f" extent {var.extent}"
            return [f"let {_name(var.name)}: {var.dtype}{extent} = {print_expr(value)}"]
        case Store(buffer, index, value, streaming):
            prefix = "stream " if streaming else ""
            return [f"{prefix}{_access(buffer, index)} = {print_expr(value)}"]
        case Alloc(buffer):
            return [f"alloc {_name(buffer.name)}: {_type(buffer)} {_name(buffer.space)}"]
        case For():
            return [f"{_loop_head(stmt)} {{", *_block(stmt.body), "}"]
        case If(condition, body):
            return [f"if {print_expr(condition)} {{", *_block(body), "}"]
        case Barrier():
            return ["barrier"]
        case Invoke(instruction, windows):
            arguments = ", ".join(_window(window) for window in windows)
            return [f"invoke @{_name(instruction.name)}({arguments})"]


def _loop_head(loop: For) -> str:
    var = loop.var
    dtype = "" if var.dtype == INDEX else f": {var.dtype}"
    span = f"{print_expr(loop.start)}..{print_expr(loop.stop)}"
    head = f"{loop.kind.value} {_name(var.name)}{dtype} in {span}"
    if loop.step != 1:
        head += f" step {loop.step}"
    if loop.stop != Const(var.extent or 0, INDEX) or var.extent is None:
        head += f" extent {'none' if var.extent is None else var.extent}"
    return head


def _window(window: Window) -> str:
    return _access(window.buffer, window.index)


def _access(buffer: Buffer, index: tuple[Expr, ...]) -> str:
    return f"{_name(buffer.name)}[{', '.join(map(print_expr, index))}]"


def _expr(expr: Expr, tightness: int) -> str:
    """The text of `expr`, in parentheses if it binds less tightly than its surroundings need."""
    match expr:
        case Const():
            return _const(expr)
        case Var(name):
            return _name(name)
        case Load(again=True):
            return f"again({print_expr(replace(expr, again=False))})"
        case Load(buffer, index, None):
            return _access(buffer, index)
        case Load(buffer, index, guard) if guard is not None:
            text, own = f"{_access(buffer, index)} where {_expr(guard, COMPARE)}", 0
        case Binary(op, left, right) if op in INFIX and left.dtype == INDEX:
            sign, own = INFIX[op]
            # Comparisons do not chain; the rest associates to the left.
            text = f"{_expr(left, own + (own == COMPARE))} {sign} {_expr(right, own + 1)}"
        case _:
            return _call(expr)
    return f"({text})" if own < tightness else text


def _call(expr: Expr) -> str:
    match expr:
        case Unary(op, x):
            return f"{op}({print_expr(x)})"
        case Binary(op, a, b):
            return f"{op}({print_expr(a)}, {print_expr(b)})"
        case Fma(a, b, c):
            return f"fma({print_expr(a)}, {print_expr(b)}, {print_expr(c)})"
        case Select(a, b, c):
            return f"select({print_expr(a)}, {print_expr(b)}, {print_expr(c)})"
        case Convert(x, dtype):
            return f"convert({print_expr(x)}, {dtype})"
        case Bitcast(x, dtype):
            return f"bitcast({print_expr(x)}, {dtype})"
        case _:
            raise TypeError(f"{type(expr).__name__} is not written as a call")


def _const(const: Const) -> str:
    if const.dtype == BOOL:
        return "true" if const.value else "false"
    if not const.dtype.is_float:
        return f"{int(const.value)}{'' if const.dtype == INDEX else const.dtype}"
    text = print_float(float(const.value))
    return f"{text}{'' if math.isfinite(const.value) else '.'}{const.dtype}"
