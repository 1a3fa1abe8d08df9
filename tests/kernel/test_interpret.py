"""The kernel interpreter: statements, lanes, threads, and the errors it must find."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.parse import parse_kernel
from tensorkiln.runtime.errors import VerifyError


def run(text: str, *arrays: np.ndarray) -> None:
    interpret(parse_kernel(text), arrays)


def test_matrix_multiply_with_guarded_vector_tail():
    kernel = """
    kernel @matmul(a: f32[5,7], b: f32[7,10], c: out f32[5,10]) {
      parallel i in 0..5 {
        for j in 0..10 step 4 {
          alloc acc: f32[4] local
          vector l in 0..4 {
            acc[l] = 0.0f32
            for k in 0..7 {
              acc[l] = fma(a[i, k], b[k, j + l] where j + l < 10, acc[l])
            }
            if j + l < 10 {
              c[i, j + l] = acc[l]
            }
          }
        }
      }
    }
    """
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 7)).astype("f"), rng.normal(size=(7, 10)).astype("f")
    c = np.zeros((5, 10), "f")
    run(kernel, a, b, c)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-6)


def test_vector_statements_run_in_lock_step():
    # Every lane reads its left neighbour before any lane of the next statement has stored.
    kernel = """
    kernel @shift(x: i32[4], y: out i32[4]) {
      vector l in 0..4 {
        y[l] = x[l]
        y[l] = add(y[(l + 3) % 4], 0i32)
      }
    }
    """
    y = np.zeros(4, np.int32)
    run(kernel, np.arange(4, dtype=np.int32), y)
    assert y.tolist() == [3, 0, 1, 2]


REVERSE = """
kernel @reverse(x: i32[2,4], y: out i32[2,4]) {{
  block b in 0..2 {{
    alloc s: i32[4] shared
    thread t in 0..4 {{
      s[t] = x[b, t]
      {barrier}
      y[b, t] = s[3 - t]
    }}
  }}
}}
"""


def test_threads_meet_at_barriers():
    x, y = np.arange(8, dtype=np.int32).reshape(2, 4), np.zeros((2, 4), np.int32)
    run(REVERSE.format(barrier="barrier"), x, y)
    np.testing.assert_array_equal(y, x[:, ::-1])


def test_without_the_barrier_threads_read_unwritten_memory():
    x, y = np.arange(8, dtype=np.int32).reshape(2, 4), np.zeros((2, 4), np.int32)
    run(REVERSE.format(barrier=""), x, y)
    assert y[0, 0] == np.int32(np.uint32(0xCDCDCDCD).view(np.int32))


def test_barrier_in_nested_thread_loops_waits_for_all_of_them():
    kernel = """
    kernel @transpose(x: f32[3,3], y: out f32[3,3]) {
      block b in 0..1 {
        alloc s: f32[3,3] shared
        thread i in 0..3 {
          thread j in 0..3 {
            s[i, j] = x[i, j]
            barrier
            y[i, j] = s[j, i]
          }
        }
      }
    }
    """
    x, y = np.arange(9, dtype="f").reshape(3, 3), np.zeros((3, 3), "f")
    run(kernel, x, y)
    np.testing.assert_array_equal(y, x.T)


def test_instruction_runs_its_body_on_windows():
    kernel = """
    instruction @dot4(a: i8[4], b: i8[4], c: i32[1]) {
      for k in 0..4 {
        c[0] = add(c[0], mul(convert(a[k], i32), convert(b[k], i32)))
      }
    }
    kernel @dots(x: i8[3,8], w: i8[8], y: out i32[3]) {
      for i in 0..3 {
        y[i] = 0i32
        for k in 0..8 step 4 {
          invoke @dot4(x[i, k], w[k], y[i])
        }
      }
    }
    """
    rng = np.random.default_rng(1)
    x, w = rng.integers(-128, 128, (3, 8)).astype(np.int8), rng.integers(-9, 9, 8).astype(np.int8)
    y = np.zeros(3, np.int32)
    run(kernel, x, w, y)
    np.testing.assert_array_equal(y, x.astype(np.int32) @ w)


def test_new_buffers_hold_poison():
    y = np.zeros(1, "f")
    run("kernel @k(y: out f32[1]) { alloc a: f32[1] local  y[0] = a[0] }", y)
    assert np.isnan(y[0])


def test_guarded_load_reads_nothing_where_the_guard_is_false():
    y = np.ones(4, "f")
    run("kernel @k(x: f32[2], y: out f32[4]) { for i in 0..4 { y[i] = x[i] where i < 2 } }",
        np.full(2, 3, "f"), y)  # fmt: skip
    assert y.tolist() == [3, 3, 0, 0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "for i in 0..5 { y[i] = 0.0f32 }",
            r"kernel k: index 4 of dim 0 is outside of y: f32\[4\]",
        ),
        ("y[0] = y[0 - 1]", "index -1 of dim 0"),
        ("vector l in 0..4 { y[0] = convert(l, f32) }", "several lanes store different values"),
        ("vector a in 0..2 { vector b in 0..2 { y[b] = 1.0f32 } }", "inside of another"),
        ("vector l in 0..2 { for i in 0..l extent 2 { y[l] = 1.0f32 } }", "lanes disagree"),
        ("thread t in 0..2 { if t < 1 { barrier } }", "skip a barrier"),
        ("barrier", "outside of thread loops"),
        ("for i in 0..4 extent 3 { y[i] = 0.0f32 }", "outside of its extent 3"),
    ],
)
def test_what_has_no_meaning_is_an_error(body: str, message: str):
    with pytest.raises(VerifyError, match=message):
        run(f"kernel @k(y: out f32[4]) {{ {body} }}", np.zeros(4, "f"))


def test_arrays_must_fit_the_parameters():
    with pytest.raises(ValueError, match="y is f32"):
        run("kernel @k(y: out f32[4]) { }", np.zeros(4))
