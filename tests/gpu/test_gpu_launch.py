"""How kernels of blocks and threads are launched, and which kernels are refused."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.codegen.nvptx import emit_ptx
from tensorkiln.compiler.codegen.nvptx_launch import Launch, launch_of
from tensorkiln.compiler.codegen.nvptx_target import gpu_target
from tensorkiln.compiler.kernel.parse import parse_kernel
from tensorkiln.compiler.kernel.program import Call, Program, Slot
from tensorkiln.runtime.errors import UnsupportedError


def kernel_text(body: str, size: int = 64) -> str:
    return f"kernel @k.1(x: f32[{size}], y: out f32[{size}]) {{\n{body}\n}}\n"


def ptx_of(body: str, size: int = 64) -> str:
    slots = (Slot("argument", 0), Slot("argument", 1))
    kernel = parse_kernel(kernel_text(body, size))
    program = Program("p", (kernel,), (Call(0, slots),), 2, np.zeros(0, np.uint8), 0)
    return emit_ptx(program, gpu_target("sm_80")).text


def entry_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_launches_come_from_the_loops() -> None:
    text = """
  block b in 0..5 {
    alloc s: f32[33] shared
    alloc n: i8[3] shared
    thread t in 0..8 {
      y[b * 8 + t] = x[b * 8 + t]
    }
    thread u in 0..7 {
      y[b * 8 + u] = x[b * 8 + u]
    }
  }"""
    assert launch_of(parse_kernel(kernel_text(text)), 3) == Launch("k3_k_1", 5, 8, 144 + 16)


REFUSED = {
    "not one loop over blocks": """
  for i in 0..64 {
    y[i] = x[i]
  }""",
    "a store to y outside of thread loops": """
  block b in 0..64 {
    y[b] = x[b]
  }""",
    "parallel loop p outside of thread loops|parallel loop p inside": """
  block b in 0..1 {
    parallel p in 0..64 {
      y[p] = x[p]
    }
  }""",
    "thread loop t has another inside": """
  block b in 0..2 {
    thread t in 0..4 {
      thread u in 0..8 {
        y[b * 32 + t * 8 + u] = x[b * 32 + t * 8 + u]
      }
    }
  }""",
    "loop u has barriers, but not 32 threads": """
  block b in 0..2 {
    thread t in 0..32 {
      y[b * 32 + t] = 0.0f32
    }
    thread u in 0..16 {
      barrier
      y[b * 32 + u] = x[b * 32 + u]
    }
  }""",
    "49168 bytes of shared memory": """
  block b in 0..1 {
    alloc s: f32[12289] shared
    thread t in 0..64 {
      y[t] = x[t]
    }
  }""",
    "the bounds of loop t are not constant": """
  block b in 0..8 {
    thread t in 0..b extent 8 {
      y[t] = x[t]
    }
  }""",
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_no_gpu_can_run_is_refused(reason: str) -> None:
    kernel = parse_kernel(kernel_text(REFUSED[reason]))
    with pytest.raises(UnsupportedError, match=reason):
        launch_of(kernel, 0)


def test_more_iterations_than_threads_are_strided() -> None:
    body = "block b in 0..1 {\n thread t in 0..2500 {\n y[t] = x[t]\n }\n }"
    text = ptx_of(body, 2500)
    assert ".reqntid 1024" in text
    assert any(line.startswith("add") and "1024;" in line for line in entry_lines(text))


def test_fewer_iterations_than_threads_leave_threads_out() -> None:
    body = """
  block b in 0..1 {
    thread t in 0..64 {
      y[t] = 1.0f32
    }
    thread u in 0..40 {
      y[u] = x[u]
    }
  }"""
    lines = entry_lines(ptx_of(body))
    assert any(line.startswith("setp.gt.u32") and line.endswith("39;") for line in lines)


def test_a_barrier_parts_thread_loops() -> None:
    body = """
  block b in 0..1 {
    alloc s: f32[64] shared
    thread t in 0..64 {
      s[t] = x[t]
    }
    thread u in 0..64 {
      y[u] = s[63 - u]
    }
  }"""
    lines = [line.split("\t")[0].split(" ")[0] for line in entry_lines(ptx_of(body))]
    order = [w for w in lines if w.startswith(("bar.", "st.", "ld.shared", "ld.global"))]
    assert [w.split(".")[:2] for w in order] == [
        ["ld", "global"], ["st", "shared"], ["bar", "sync"], ["ld", "shared"], ["st", "global"],
    ]  # fmt: skip
