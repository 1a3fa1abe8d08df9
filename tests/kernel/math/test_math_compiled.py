"""The expansions as machine code: the same bounds, and no call to a library."""

from __future__ import annotations

import ctypes
import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from tensorkiln.compiler.codegen.module import emit_kernel
from tensorkiln.compiler.codegen.target import (
    emit_assembly,
    machine,
    optimize,
    target_named,
)  # fmt: skip
from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.kernel.expr import Binary, Buffer, Load, Unary, Var
from tensorkiln.compiler.kernel.index import add, mul
from tensorkiln.compiler.kernel.math.expand import expand_math
from tensorkiln.compiler.kernel.stmt import Kernel, LoopKind, Store, loop

OPS = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "cbrt": np.cbrt,
    "pow": lambda x: np.power(x, x), "atan2": lambda x: np.arctan2(x, x),
}  # fmt: skip


def _module(op, dtype, target, size):
    lanes = target.lanes(dtype.bits)
    x, y = Buffer("x", (size,), dtype), Buffer("y", (size,), dtype)
    row, lane = Var("i", extent=size // lanes), Var("l", extent=lanes)
    at = (add(mul(row, lanes), lane),)
    value = Load(x, at)
    result = Binary(op, value, value) if op in ("pow", "atan2") else Unary(op, value)
    body = loop(row, (loop(lane, (Store(y, at, result),), LoopKind.VECTOR),))
    module = ir.Module("m")
    module.triple = target.triple
    kernel = expand_math(Kernel("k", (x, y), 1, (body,)), target.has_fma)
    emit_kernel(module, kernel, "k", True, linkage="external")
    parsed = llvm.parse_assembly(str(module))
    optimize(parsed, target)
    return parsed


def _run(op, x, target):
    dtype = F32 if x.dtype == np.float32 else F64
    engine = llvm.create_mcjit_compiler(_module(op, dtype, target, x.size), machine(target))
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
        engine.get_function_address("k")
    )
    y = np.empty_like(x)
    function(x.ctypes.data, y.ctypes.data, 1)
    return y


@pytest.mark.parametrize("op", OPS)
def test_compiled_f32_is_within_the_bound(op, ulps):
    x = np.arange(0, 2**32, 2**16 + 1, dtype=np.uint64).astype(np.uint32)[: 1 << 15]
    x = np.concatenate([x.view(np.float32), np.linspace(-20, 20, 1 << 15, dtype=np.float32)])
    got = _run(op, x, target_named("host"))
    with np.errstate(all="ignore"):
        expected = OPS[op](x.astype(np.float64))
    assert ulps(got, expected).max() <= 3.5


@pytest.mark.parametrize("op", OPS)
def test_compiled_f64_agrees_with_numpy(op):
    x = np.linspace(-30, 30, 1 << 12)
    got = _run(op, x, target_named("host"))
    with np.errstate(all="ignore"):
        expected = OPS[op](x)
    np.testing.assert_allclose(got, expected, rtol=2e-15, atol=0)


@pytest.mark.parametrize("name", ["x86-64-v2", "x86-64-v4", "aarch64"])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_no_function_is_called(name, dtype):
    target = target_named(name)
    for op in OPS:
        text = emit_assembly(_module(op, dtype, target, 64), target)
        assert not re.findall(r"\b(?:callq?|bl|jmpq?)\s+(?!\.L)[A-Za-z_]\w*.*", text), op
