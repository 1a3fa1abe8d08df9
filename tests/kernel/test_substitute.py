"""Substitution, renaming and inlining keep the meaning and never capture a name."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.kernel.expr import INDEX, Binary, Const, Var
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.parse import parse_kernel
from tensorkiln.compiler.kernel.stmt import Block, For, Invoke, Kernel
from tensorkiln.compiler.kernel.substitute import (
    fresh_name,
    inline_instruction,
    names_of,
    rename,
    substitute,
)
from tensorkiln.compiler.kernel.text import print_block, print_kernel


def test_substitute_simplifies_indices():
    kernel = parse_kernel("""
    kernel @k(y: out i64[64]) {
      for j in 0..4 { for i in 0..16 { y[j*16 + i] = i + 1 } }
    }
    """)
    (outer,) = kernel.body
    assert isinstance(outer, For)
    block = substitute(outer.body, {"j": Const(2, INDEX)})
    assert print_block(block) == "for i in 0..16 {\n  y[i + 32] = i + 1\n}"


def test_rename_reaches_declarations_and_uses():
    kernel = parse_kernel("""
    kernel @k(x: f32[4], y: out f32[4]) {
      for i in 0..4 {
        alloc a: f32[1] local
        let t: f32 = neg(x[i])
        a[0] = t
        y[i] = a[0]
      }
    }
    """)
    block = rename(kernel.body, {"i": "row", "a": "acc", "t": "u", "y": "result"})
    assert print_block(block).split("\n") == [
        "for row in 0..4 {",
        "  alloc acc: f32[1] local",
        "  let u: f32 = neg(x[row])",
        "  acc[0] = u",
        "  result[row] = acc[0]",
        "}",
    ]


# The windows use names (k, a, b) that the instruction's body and parameters have too.
CLASHING = """
instruction @dot(a: f32[4], b: f32[4], c: f32[]) {
  alloc s: f32[1] local
  s[0] = c[]
  for k in 0..4 {
    s[0] = fma(a[k], b[k], s[0])
  }
  c[] = s[0]
}
kernel @k(b: f32[3,8], a: f32[8], y: out f32[3]) {
  for i in 0..3 {
    y[i] = 0.0f32
    for k in 0..8 step 4 {
      invoke @dot(b[i, k], a[k], y[i])
    }
  }
}
"""


def _inlined(block: Block) -> Block:
    result: list = []
    for stmt in block:
        if isinstance(stmt, Invoke):
            result += inline_instruction(stmt)
        elif isinstance(stmt, For):
            result.append(
                For(stmt.var, stmt.start, stmt.stop, stmt.kind, _inlined(stmt.body), stmt.step)
            )
        else:
            result.append(stmt)
    return tuple(result)


def test_inlined_instruction_means_the_same():
    kernel = parse_kernel(CLASHING)
    inlined = Kernel("k", kernel.parameters, 1, _inlined(kernel.body))
    assert "invoke" not in print_kernel(inlined)
    rng = np.random.default_rng(0)
    matrix, vector = rng.normal(size=(3, 8)).astype("f"), rng.normal(size=8).astype("f")
    results = [np.zeros(3, "f"), np.zeros(3, "f")]
    interpret(kernel, [matrix, vector, results[0]])
    interpret(inlined, [matrix, vector, results[1]])
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], matrix @ vector, rtol=1e-5)


def test_fresh_names_avoid_all_names_of_the_kernel():
    taken = names_of(parse_kernel(CLASHING))
    assert taken == {"a", "b", "y", "i", "k"}
    assert [fresh_name(taken, "i"), fresh_name(taken, "i"), fresh_name(taken, "z")] == [
        "i_1",
        "i_2",
        "z",
    ]


def test_variables_of_one_name_only_are_replaced():
    kernel = parse_kernel("kernel @k(y: out i64[9]) { for i in 0..3 { y[i] = i } }")
    (loop,) = kernel.body
    assert isinstance(loop, For)
    block = substitute(loop.body, {"i": Var("n", INDEX, 9)})
    assert print_block(block) == "y[n] = n"


def test_a_replacement_is_not_replaced_again():
    # 3 - (3 - i) comes out as i, which is a new i.
    kernel = parse_kernel("kernel @k(y: out i64[9]) { for i in 0..4 { y[3 - i] = i } }")
    (loop,) = kernel.body
    assert isinstance(loop, For)
    backwards = Binary("sub", Const(3, INDEX), loop.var)
    assert print_block(substitute(loop.body, {"i": backwards})) == "y[i] = 3 - i"
    swapped = parse_kernel(
        "kernel @k(y: out i64[9]) { let a: i64 = 1 let b: i64 = 2 y[a] = b * 1 }"
    )
    text = print_block(rename(swapped.body, {"a": "b", "b": "a"}))
    assert text == "let b: i64 = 1\nlet a: i64 = 2\ny[b] = a"
