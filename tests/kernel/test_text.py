"""Kernel text: exact output, round trips, and errors with a place."""

from __future__ import annotations

import math
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorkiln.compiler.ir.dtypes import BOOL, DTYPES, F32, DType
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
)
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.parse import parse_kernel, parse_kernels
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
)
from tensorkiln.compiler.kernel.text import print_kernel
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.runtime.errors import ParseError, VerifyError

TEXT = """\
instruction @fma4(a: f32[4], b: f32[4], c: f32[4]) {
  vector l in 0..4 {
    c[l] = fma(a[l], b[l], c[l])
  }
}

kernel @"odd name"(x: f32[8,4], "w/0:0": f32[4], y: out f32[8,4]) {
  parallel i in 0..8 {
    alloc acc: f32[4] local
    for j in i..min(i + 3, 8) step 2 extent 8 {
      vector l in 0..4 {
        let t: f32 = mul(x[j, l] where j*2 + l < 9, again("w/0:0"[l]))
        if and(l // 2 == 1, not(false)) {
          stream y[i, l] = select(lt(t, -inf.f32), t, -1e-05f32)
        }
      }
    }
    unroll u in 0..0 extent none {
      let n: i64 extent 5 = (i - 1) % 3 + -2*(i - (1 - i))
      acc[n] = convert(bitcast(1u32, f32), f32)
    }
    invoke @fma4(x[i, 0], "w/0:0"[0], y[i, 0])
  }
}
"""


def test_text_is_kept_exactly_but_for_spaces_in_products():
    printed = print_kernel(parse_kernel(TEXT))
    assert printed == TEXT.replace("j*2", "j * 2").replace("-2*", "-2 * ")
    assert parse_kernel(printed) == parse_kernel(TEXT)


def test_several_kernels():
    first, second = parse_kernels("kernel @a() { }  # a comment\n kernel @b() { }")
    assert (first.name, second.name) == ("a", "b")
    with pytest.raises(ParseError, match="expected one kernel, found 2"):
        parse_kernel("kernel @a() { } kernel @b() { }")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kernel @k(y: out f32[4]) {\n  y[0] = z\n}", "line 2, column 10: nothing named 'z'"),
        ("kernel @k(y: f33[4]) { }", "line 1, column 14: 'f33' is no dtype"),
        ("kernel @k(y: out f32[4]) { y[0] = 1.0f32", "expected a name, found the end of the text"),
        ("kernel @k(y: out f32[4]) { y[0] = frob(1.0f32) }", "no op 'frob' of 1 operands"),
        ("kernel @k(y: out f32[4]) { y[0] = 300u8 }", "300 is no u8"),
        ("kernel @k(y: f32[4294967296,4294967296,4]) { }", "no buffer has shape"),
        ("kernel @k(y: out f32[4], x: f32[4]) { }", "an input follows an output"),
        ("kernel @k(s: scratch f32[4], y: out f32[4]) { }", "a parameter follows scratch memory"),
        ("kernel @k(y: out f32[4]) { for i in 0..y[0] { } }", "loop i needs an extent"),
        ("kernel @k(y: out f32[4]) { y[0] = 1.0f32 + 2.0f32 }", "'+' is for indices; write add"),
        ("kernel @k(y: out f32[4]) { y[0] = 1.0f32 where true }", "only a load"),
        ("kernel @k() { invoke @f() }", "no instruction 'f'"),
        ('kernel @k("\\q": f32[4]) { }', "a string holds ASCII and the escapes"),
        ("kernel @k() { $ }", "unexpected"),
    ],
)
def test_errors_name_line_and_column(text: str, message: str):
    with pytest.raises(ParseError, match=re.escape(message)) as caught:
        parse_kernel(text)
    assert str(caught.value).startswith("line ")


@pytest.mark.parametrize(
    "value",
    ["(" * 5000 + "1" + ")" * 5000, "neg(" * 5000, "1" + " + 1" * 5000, "9" * 5000],
)
def test_hostile_sizes_are_errors(value: str):
    with pytest.raises(ParseError):
        parse_kernel(f"kernel @k(y: out i64[4]) {{ y[0] = {value} }}")


def test_hostile_nesting_of_blocks_is_an_error():
    with pytest.raises(ParseError, match="nested more than"):
        parse_kernel("kernel @k() {" + "if true {" * 5000)


X, Y = Buffer("x", (4, 4), F32), Buffer("a/b:0", (4,), F32)
NAMES = ["i", "for", "inf.f32", "a b", 'q"\\\n', "ü", "f32", "k.1", "0"]


class Generator:
    """Random kernels; they need not make sense, only print and parse."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def literal(self) -> Const:
        integer = self.random.choice([t for t in DTYPES if t.is_integer])
        return self.random.choice(
            [
                Const(self.random.randint(-5, 5), INDEX),
                Const(self.random.random() < 0.5, BOOL),
                Const(self.random.choice([0.0, 1e30, -2.5, math.inf, self.random.random()]), F32),
                Const(1, integer),
            ]
        )

    def index(self, variables: list[Var], depth: int) -> Expr:
        own = [v for v in variables if v.dtype == INDEX]
        if depth == 0 or self.random.random() < 0.3:
            return self.random.choice([Const(self.random.randint(-5, 5), INDEX), *own])
        op = self.random.choice(["add", "sub", "mul", "floordiv", "mod", "max"])
        return Binary(op, self.index(variables, depth - 1), self.index(variables, depth - 1))

    def expr(self, variables: list[Var], depth: int = 3) -> Expr:
        if depth == 0 or self.random.random() < 0.2:
            return self.random.choice([self.literal(), *variables])

        def below() -> Expr:
            return self.expr(variables, depth - 1)

        def index() -> Expr:
            return self.index(variables, depth - 1)

        return self.random.choice(
            [
                index,
                lambda: Binary(self.random.choice(["lt", "eq", "ge"]), index(), index()),
                lambda: Unary(self.random.choice(["neg", "exp", "not"]), below()),
                lambda: Binary(self.random.choice(["add", "max", "le", "div"]), below(), below()),
                lambda: Fma(below(), below(), below()),
                lambda: Select(below(), below(), below()),
                lambda: Convert(below(), self.random.choice(DTYPES)),
                lambda: Bitcast(below(), self.random.choice(DTYPES)),
                lambda: Load(
                    X,
                    (below(), index()),
                    self.random.choice([None, below()]),
                    self.random.choice([False, True]),
                ),
            ]
        )()

    def var(self, dtype: DType = INDEX) -> Var:
        return Var(self.random.choice(NAMES), dtype, self.random.choice([None, 0, 4, 9]))

    def stmt(self, variables: list[Var], depth: int) -> Stmt:
        value = self.expr(variables)
        match self.random.randrange(7 if depth else 5):
            case 0:
                return Let(self.var(value.dtype), value)
            case 1:
                return Store(Y, (value,), self.expr(variables), self.random.random() < 0.5)
            case 2:
                return Barrier()
            case 3:
                return Alloc(Buffer("m", (2, 0), F32, "local"))
            case 4:
                return Invoke(Instruction("f", (X,), ()), (Window(X, (value, value)),))
            case 5:
                return If(value, self.block(variables, depth - 1))
            case _:
                var = self.var()
                body = self.block(_extend(variables, var), depth - 1)
                kind, step = self.random.choice(list(LoopKind)), self.random.randint(1, 3)
                return For(var, value, self.expr(variables), kind, body, step)

    def block(self, variables: list[Var], depth: int) -> Block:
        stmts = []
        for _ in range(self.random.randint(0, 4)):
            stmts.append(self.stmt(variables, depth))
            if isinstance(stmts[-1], Let):
                variables = _extend(variables, stmts[-1].var)
        return tuple(stmts)


def _extend(variables: list[Var], var: Var) -> list[Var]:
    return [v for v in variables if v.name != var.name] + [var]


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_any_kernel_round_trips(seed: int):
    body = Generator(seed).block([], 2)
    kernel = Kernel(NAMES[seed % len(NAMES)], (X, Y), seed % 3, body)
    text = print_kernel(kernel)
    again = parse_kernel(text)
    assert again == kernel
    assert print_kernel(again) == text


def test_literals_keep_sign_of_zero_and_nan():
    for value, shown in [(-0.0, "-0.0f32"), (math.nan, "nan.f32"), (0.1, "0.1f32")]:
        kernel = Kernel("k", (Y,), 1, (Store(Y, (Const(0, INDEX),), Const(value, F32)),))
        text = print_kernel(kernel)
        assert f"= {shown}\n" in text
        assert print_kernel(parse_kernel(text)) == text


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_text_raises_only_named_errors(data: st.DataObject):
    text = TEXT
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(len(text), at + 6)))
        piece = data.draw(
            st.sampled_from(
                ["", "}", "{", "(", "-", "0", '"', "\\", "9" * 30, "é", "x[", " i ", "f32"]
            )
            | st.text(max_size=3)
        )
        text = text[:at] + piece + text[end:]
    try:
        kernel = parse_kernel(text)
        verify_kernel(kernel)
    except (ParseError, VerifyError):
        return
    assert parse_kernel(print_kernel(kernel)) == kernel


def test_parsed_kernel_runs():
    kernel = parse_kernel("kernel @k() { }")
    interpret(kernel, [])
