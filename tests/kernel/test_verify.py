"""Every invariant of the kernel verifier, broken once, and kernels that break none."""

from __future__ import annotations

import pytest

from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.kernel.expr import INDEX, Buffer, Const, Load, Var
from tensorkiln.compiler.kernel.parse import parse_kernel
from tensorkiln.compiler.kernel.stmt import Kernel, Store
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.runtime.errors import VerifyError

INSTRUCTION = """
instruction @copy(from: f32[4], to: f32[4]) {
  vector l in 0..4 { to[l] = from[l] }
}
"""


def _kernel(body: str) -> Kernel:
    return parse_kernel(
        f"{INSTRUCTION} kernel @k(x: f32[8,16], n: i64[4], y: out f32[8,16]) {{ {body} }}"
    )


@pytest.mark.parametrize(
    ("number", "body"),
    [
        (2, "for i in 0..8 { for i in 0..8 { y[i, 0] = 0.0f32 } }"),
        (2, "for x in 0..8 { y[x, 0] = 0.0f32 }"),
        (3, "y[0, 0] = add(1.0f32, 1i32)"),
        (3, "y[0, 0] = 1.0f64"),
        (3, "y[0, 0] = and(1.0f32, 2.0f32)"),
        (3, "y[0, 0] = select(1i32, 2.0f32, 2.0f32)"),
        (3, "y[0, 0] = exp(convert(1i32, i64)) "),
        (3, "if 1i32 { y[0, 0] = 0.0f32 }"),
        (3, "let a: i32 = 1.0f32"),
        (3, "let a: f64 = bitcast(1.0f32, f64)"),
        (3, "y[0, 0] = x[0, 1i32]"),
        (3, "let a: i64 = n[0] // n[1]"),
        (3, "y[0, 0] = true"),
        (3, "let a: bool = add(true, false)"),
        (4, "y[0] = 0.0f32"),
        (4, "y[0, 0] = x[0, 0, 0]"),
        (5, "vector l in 1..4 { y[0, l] = 0.0f32 }"),
        (5, "vector l in 0..n[0] extent 4 { y[0, l] = 0.0f32 }"),
        (5, "unroll i in 0..n[0] extent 4 { y[0, i] = 0.0f32 }"),
        (5, "for i in 0..4 step 0 { y[0, i] = 0.0f32 }"),
        (5, "for i in 0..4 extent 3 { y[0, i] = 0.0f32 }"),
        (6, "vector l in 0..4 { vector m in 0..4 { y[l, m] = 0.0f32 } }"),
        (6, "vector l in 0..4 { alloc a: f32[1] local }"),
        (6, "vector l in 0..4 { for i in 0..l extent 4 { y[i, l] = 0.0f32 } }"),
        (6, "vector l in 0..4 { y[0, 0] = x[0, l] }"),
        (6, "vector l in 0..4 { let t: f32 = x[0, l]  y[0, 0] = t }"),
        (6, "vector l in 0..4 { invoke @copy(x[0, 0], y[0, 0]) }"),
        (7, "x[0, 0] = 1.0f32"),
        (7, "invoke @copy(y[0, 0], x[0, 0])"),
        (8, "barrier"),
        (8, "thread t in 0..4 { if t < 2 { barrier } }"),
        (8, "thread t in 0..4 { for i in 0..t extent 4 { barrier } }"),
        (8, "thread t in 0..4 { let m: i64 = t * 2  for i in 0..m extent 8 { barrier } }"),
        (9, "vector l in 0..4 extent 3 { y[l + 5, 0] = 0.0f32 }"),
        (9, "for i in 0..9 { y[i, 0] = 0.0f32 }"),
        (9, "for i in 0..8 { y[i, 0] = x[i - 1, 0] }"),
        (9, "for i in 0..8 { for j in 0..16 step 5 { y[i, j + 1] = 0.0f32 } }"),
        (9, "invoke @copy(x[0, 13], y[0, 0])"),
        (10, "parallel i in 0..8 { y[0, 0] = 0.0f32 }"),
        (10, "parallel i in 0..8 { for j in 0..16 { y[3, j] = x[i, j] } }"),
        (10, "parallel i in 0..8 { for j in 0..4 { y[0, i*2 + j] = x[i, j] } }"),
        (10, "block i in 0..8 { thread j in 0..2 { y[0, i + j] = x[i, j] } }"),
        (11, "alloc a: f32[4] global"),
        (11, "alloc a: f32[4] shared"),
        (11, "block b in 0..1 { thread t in 0..4 { alloc a: f32[4] shared } }"),
        (12, "parallel i in 0..8 { parallel j in 0..8 { y[i, j] = 0.0f32 } }"),
        (12, "thread i in 0..8 { block j in 0..8 { y[i, j] = 0.0f32 } }"),
        (13, "invoke @copy(x[0, 0])"),
        (13, "invoke @copy(n[0], y[0, 0])"),
    ],
)
def test_broken_invariant_is_named(number: int, body: str):
    with pytest.raises(VerifyError, match=rf"^kernel k: (instruction copy: )?K{number}: "):
        verify_kernel(_kernel(body))


@pytest.mark.parametrize(
    "body",
    [
        "parallel i in 0..8 { vector l in 0..16 { y[i, l] = exp(x[i, l]) } }",
        "for i in 0..8 { for j in 0..16 step 4 { vector l in 0..4 { y[i, j + l] = 0.0f32 } } }",
        "for i in 0..20 { if i < 8 { y[i, 0] = 0.0f32 } }",
        "for i in 0..8 { y[i, 0] = x[i + 1, 0] where i < 7 }",
        "parallel i in 0..4 { for j in 0..2 { y[i*2 + j, 0] = 0.0f32 } }",
        "parallel i in 0..8 { alloc a: f32[1] local  a[0] = 1.0f32  y[i, 0] = a[0] }",
        "parallel i in 0..8 { y[n[i % 4], 0] = 0.0f32 }",
        "unroll i in 0..4 { unroll j in i..4 { y[i, j] = 0.0f32 } }",
        "vector l in 0..4 { let c: f32 = x[0, 0]  y[0, 0] = c }",
        "for i in 0..0 { y[i + 99, 0] = 0.0f32 }",
        "vector l in 0..4 extent 3 { if l < 3 { y[l + 5, 0] = 0.0f32 } }",
        "vector l in 0..1 { y[0, 0] = x[0, l] }",
        "for i in 0..8 { y[i, 0] = x[i - i // 2 * 2 + 6, 0] }",
        "for a in 0..8 { y[a, 0] = 0.0f32 } for a in 0..8 { y[a, 1] = 0.0f32 }",
        "block b in 0..8 { alloc s: f32[4] shared  thread t in 0..4 { for r in 0..2 {"
        " s[t] = 0.0f32  barrier } y[b, t] = s[3 - t] } }",
        "for i in 0..8 { invoke @copy(x[i, 12], y[i, 0]) }",
    ],
)
def test_kernels_that_break_nothing(body: str):
    verify_kernel(_kernel(body))


def test_use_that_is_not_the_declaration():
    y = Buffer("y", (4,), F32)
    undeclared = Kernel("k", (y,), 1, (Store(y, (Var("i", INDEX, 4),), Const(0.0, F32)),))
    with pytest.raises(VerifyError, match=r"K1: .*'i'.* is used, None is declared"):
        verify_kernel(undeclared)
    other = Buffer("y", (5,), F32)
    reshaped = Kernel(
        "k", (y,), 1, (Store(y, (Const(0, INDEX),), Load(other, (Const(0, INDEX),))),)
    )
    with pytest.raises(VerifyError, match="K1"):
        verify_kernel(reshaped)


def test_the_message_shows_the_statement():
    with pytest.raises(VerifyError) as caught:
        verify_kernel(_kernel("for i in 0..9 { y[i, 0] = 0.0f32 }"))
    assert str(caught.value) == (
        "kernel k: K9: index 0 of y is in 0..8, its dim has size 8, at: y[i, 0] = 0.0f32"
    )
