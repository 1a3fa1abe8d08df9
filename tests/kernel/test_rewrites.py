"""Rewrites never change what a kernel computes: random nests, random rewrites, both interpreted."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from filetests.drivers import assert_same_effect
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.parse import parse_instruction, parse_kernel
from tensorkiln.compiler.kernel.rewrite_bind import bind
from tensorkiln.compiler.kernel.rewrite_fuse import fuse_loops
from tensorkiln.compiler.kernel.rewrite_instruction import replace_by_instruction
from tensorkiln.compiler.kernel.rewrite_reduction import split_reduction
from tensorkiln.compiler.kernel.rewrite_reorder import reorder
from tensorkiln.compiler.kernel.rewrite_split import split
from tensorkiln.compiler.kernel.rewrite_stage import stage
from tensorkiln.compiler.kernel.rewrite_unroll import unroll
from tensorkiln.compiler.kernel.stmt import Block, For, If, Kernel, LoopKind, Stmt, walk
from tensorkiln.compiler.kernel.substitute import substitute
from tensorkiln.compiler.kernel.text import print_kernel
from tensorkiln.compiler.kernel.verify import verify_kernel
from tensorkiln.runtime.errors import RewriteError

SIZE = 24


class Nests:
    """Random loop nests over two flat buffers, with indices that often collide."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def kernel(self) -> Kernel:
        body = "\n".join(self.loop([], 3) for _ in range(self.random.randint(1, 2)))
        return parse_kernel(
            f"kernel @k(x: i32[{SIZE}], n: i64[4], y: out i32[{SIZE}], z: out i32[4,6]) {{ {body} }}"
        )

    def loop(self, names: list[tuple[str, int]], depth: int) -> str:
        self.count += 1
        name, extent = f"i{self.count}", self.random.choice([2, 3, 4])
        inner = [*names, (name, extent)]
        step = self.random.choice(["", "", "", " step 2"])
        body = self.stmt(inner, depth - 1)
        if self.random.random() < 0.3:
            body += "\n" + self.stmt(inner, depth - 1)
        return f"for {name} in 0..{extent}{step} {{ {body} }}"

    def stmt(self, names: list[tuple[str, int]], depth: int) -> str:
        if depth and self.random.random() < 0.7:
            return self.loop(names, depth)
        place = self.place(names if self.random.random() < 0.7 else names[:-1])
        store = f"{place} = {self.value(names)}"
        if self.random.random() < 0.3:
            store = f"{place} = {self.random.choice(['add', 'max'])}({place}, {self.value(names)})"
        if self.random.random() < 0.2:
            store = f"if {self.random.choice(names)[0]} < 2 {{ {store} }}"
        if self.random.random() < 0.2:
            self.count += 1
            store = f"let t{self.count}: i32 = {self.value(names)} {store}"
        return store

    def value(self, names: list[tuple[str, int]]) -> str:
        a = self.random.choice([self.place(names), f"x[{self.index(names, SIZE)}]", "1i32"])
        b = self.random.choice([self.place(names), f"x[{self.index(names, SIZE)}]"])
        op = self.random.choice(["add", "add", "max", "sub"])
        return f"{op}({a}, {b})"

    def place(self, names: list[tuple[str, int]]) -> str:
        if self.random.random() < 0.3:
            return f"z[{self.index(names, 4)}, {self.index(names, 6)}]"
        return f"y[{self.index(names, SIZE)}]"

    def index(self, names: list[tuple[str, int]], size: int) -> str:
        """An affine index that stays below `size`, or a wrapped one, or a loaded one."""
        if self.random.random() < 0.05:
            return f"n[{self.random.randrange(4)}] % {size}"
        terms, room = [], size - 1
        for name, extent in self.random.sample(names, len(names)):
            coefficient = self.random.choice([0, 1, 1, 2, 4, 6])
            if coefficient * (extent - 1) <= room:
                room -= coefficient * (extent - 1)
                terms += [f"{name} * {coefficient}"] * (coefficient > 0)
        terms.append(str(self.random.randint(0, min(room, 2))))
        text = " + ".join(terms)
        return f"({text}) % {self.random.choice([2, 3])}" if self.random.random() < 0.1 else text

    def rewrite(self, kernel: Kernel) -> Kernel:
        names = [s.var.name for s in walk(kernel.body) if isinstance(s, For)]
        if not names:
            raise RewriteError("there is no loop")
        name, other = self.random.choice(names), self.random.choice(names)
        return self.random.choice(
            [
                lambda: split(kernel, name, self.random.choice([2, 3])),
                lambda: reorder(kernel, name, other),
                lambda: self.reorder_somewhere(kernel),
                lambda: fuse_loops(kernel, name, other),
                lambda: unroll(kernel, name),
                lambda: bind(kernel, name, LoopKind.VECTOR),
                lambda: reversed_loop(bind(kernel, name, LoopKind.PARALLEL), name),
                lambda: stage(kernel, name, self.random.choice(["x", "y", "z"])),
                lambda: split_reduction(kernel, name, self.random.choice([2, 3])),
            ]
        )()

    def reorder_somewhere(self, kernel: Kernel) -> Kernel:
        nests = [
            (s.var.name, s.body[0].var.name)
            for s in walk(kernel.body)
            if isinstance(s, For) and len(s.body) == 1 and isinstance(s.body[0], For)
        ]
        if not nests:
            raise RewriteError("there is no nest")
        return reorder(kernel, *self.random.choice(nests))


def reversed_loop(kernel: Kernel, name: str) -> Kernel:
    """The parallel loop as a serial one that runs backwards: threads promise no order."""

    def run(block: Block) -> Block:
        return tuple(map(statement, block))

    def statement(stmt: Stmt) -> Stmt:
        if isinstance(stmt, If):
            return replace(stmt, body=run(stmt.body))
        if not isinstance(stmt, For):
            return stmt
        if stmt.var.name != name or not stmt.var.extent:
            return replace(stmt, body=run(stmt.body))
        last = (stmt.var.extent - 1) // stmt.step * stmt.step
        body = substitute(stmt.body, {name: ix.sub(ix.const(last), stmt.var)})
        return replace(stmt, kind=LoopKind.SERIAL, body=body)

    return Kernel(kernel.name, kernel.parameters, kernel.outputs, run(kernel.body))


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_random_rewrites_keep_the_meaning(seed: int):
    nests = Nests(seed)
    before = nests.kernel()
    verify_kernel(before)
    after, done = before, 0
    for _ in range(12):
        try:
            after = nests.rewrite(after)
        except RewriteError:
            continue
        done += 1
        if done == 3:
            break
    assert_same_effect(before, after, seed=seed)
    assert parse_kernel(print_kernel(after)) == after


DOT = parse_instruction("""
instruction @fma4(a: f32[1], b: f32[4], c: f32[4]) {
  vector l in 0..4 {
    c[l] = fma(a[0], b[l], c[l])
  }
}
""")
PRODUCT = """
kernel @product(x: f32[6,8], w: f32[8,8], y: out f32[6,8]) {{
  for i in 0..6 {{
    for k in 0..8 {{
      for j in 0..8 step 4 {{
        vector v in 0..4 {{
          {store}
        }}
      }}
    }}
  }}
}}
"""


def test_replace_by_instruction():
    kernel = parse_kernel(
        PRODUCT.format(store="y[i, j + v] = fma(x[i, k], w[k, v + j], y[i, j + v])")
    )
    after = replace_by_instruction(kernel, "v", DOT)
    assert "        invoke @fma4(x[i, k], w[k, j], y[i, j])\n" in print_kernel(after)
    assert_same_effect(kernel, after)


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("y[i, j + v] = fma(x[i, v], w[k, v + j], y[i, j + v])", "x is not accessed as a is"),
        ("y[i, j + v] = fma(x[i, k], w[v, k], y[i, j + v])", "w is not accessed as b is"),
        ("y[i, j + v] = fma(x[i, k], w[k, v + j], y[0, j + v])", "windows of y differ"),
        ("y[i, j + v] = add(x[i, k], w[k, v + j])", "operations differ"),
        ("y[i, j + v] = fma(2.0f32, w[k, v + j], y[i, j + v])", "operations differ"),
        ("if v < 3 { y[i, j + v] = 0.0f32 }", "a If stands for a Store"),
    ],
)
def test_what_is_no_instance_of_the_instruction(store: str, reason: str):
    kernel = parse_kernel(PRODUCT.format(store=store))
    with pytest.raises(RewriteError, match=f"kernel product: loop v is no fma4: {reason}"):
        replace_by_instruction(kernel, "v", DOT)


def test_loops_are_found_by_name_or_refused():
    kernel = parse_kernel(
        "kernel @k(y: out i32[4]) { for i in 0..4 { y[i] = 0i32 } for i in 0..4 { y[i] = 1i32 } }"
    )
    with pytest.raises(RewriteError, match="kernel k: 2 loops are named i"):
        unroll(kernel, "i")
    with pytest.raises(RewriteError, match="kernel k: no loop is named j"):
        unroll(kernel, "j")


@pytest.mark.parametrize(
    ("body", "rewrite", "reason"),
    [
        ("for i in 0..4 { y[i + 1] = y[i] }", lambda k: bind(k, "i", "vector"), "one element of y"),
        ("for i in 0..4 { y[i // 2] = 0i32 }", lambda k: bind(k, "i", "parallel"), "one element"),
        ("for i in 0..n[0] extent 4 { y[i] = 0i32 }", lambda k: bind(k, "i", "vector"), "K5"),
        ("for i in 0..4 { y[n[i]] = 0i32 }", lambda k: bind(k, "i", "parallel"), "one element"),
        ("vector i in 0..4 { y[i] = 0i32 }", lambda k: split(k, "i", 2), "vector loop"),
        ("vector i in 0..4 { y[i] = 0i32 }", lambda k: unroll(k, "i"), "is a vector loop"),
        ("for i in 0..n[0] extent 4 { y[i] = 0i32 }", lambda k: unroll(k, "i"), "not constant"),
        ("for i in 0..9999 { y[0] = 0i32 }", lambda k: unroll(k, "i"), "runs 9999 times"),
        ("for i in 0..4 { y[n[i]] = 0i32 }", lambda k: stage(k, "i", "y"), "are not known"),
        ("for i in 0..4 { y[i] = 0i32 }", lambda k: stage(k, "i", "n"), "does not use n"),
        ("for i in 0..4 { for j in 0..i extent 4 { y[j] = 0i32 } }",
         lambda k: reorder(k, "i", "j"), "bounds that depend on i"),
        ("for i in 0..4 { parallel j in 0..4 { y[j] = 0i32 } }",
         lambda k: fuse_loops(k, "i", "j"), "of its own kind"),
        ("thread t in 0..4 { for r in 0..2 { barrier } }", lambda k: unroll(k, "r"), "barrier"),
        ("for i in 0..4 { y[i] = add(y[i], 1i32) }",
         lambda k: split_reduction(k, "i", 2), "more than one element of y"),
        ("for i in 0..4 { y[0] = sub(y[0], 1i32) }",
         lambda k: split_reduction(k, "i", 2), "does not fold into y"),
    ],
)  # fmt: skip
def test_refused(body: str, rewrite, reason: str):
    kernel = parse_kernel(f"kernel @k(n: i64[4], y: out i32[8]) {{ {body} }}")
    with pytest.raises(RewriteError, match=reason):
        rewrite(kernel)
