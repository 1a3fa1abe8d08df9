"""The pass: what it leaves, where it puts its statements, and that the meaning stays."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import BF16, F16, F32, F64, I64
from tensorkiln.compiler.kernel.expr import (
    Binary,
    Buffer,
    Const,
    Expr,
    Fma,
    Load,
    Select,
    Unary,
    Var,
    children,
)  # fmt: skip
from tensorkiln.compiler.kernel.interpret import interpret
from tensorkiln.compiler.kernel.math.expand import BINARY, UNARY, expand_math
from tensorkiln.compiler.kernel.stmt import For, If, Kernel, Let, LoopKind, Store, loop, walk
from tensorkiln.compiler.kernel.verify import verify_kernel

LANES = 8


def _kernel(body_of, dtype=F32, result=None, rows=3):
    x, y = Buffer("x", (rows, LANES), dtype), Buffer("y", (rows, LANES), result or dtype)
    row, lane = Var("i", extent=rows), Var("l", extent=LANES)
    inner = loop(lane, body_of(x, y, (row, lane)), LoopKind.VECTOR)
    return Kernel("k", (x, y), 1, (loop(row, (inner,)),))


def _unary_kernel(op, dtype=F32):
    return _kernel(lambda x, y, at: (Store(y, at, Unary(op, Load(x, at))),), dtype)


def _nodes(expr: Expr):
    yield expr
    for child in children(expr):
        yield from _nodes(child)


def _expressions(kernel):
    for stmt in walk(kernel.body):
        match stmt:
            case Let(_, value) | Store(_, _, value):
                yield from _nodes(value)
            case If(condition, _):
                yield from _nodes(condition)


def _run(kernel, values):
    out = np.zeros(kernel.parameters[1].shape, kernel.parameters[1].dtype.numpy)
    interpret(kernel, [values, out])
    return out


def _values(dtype):
    values = np.linspace(0.05, 3.7, 3 * LANES).reshape(3, LANES)
    return values.astype(dtype.numpy)


@pytest.mark.parametrize("fma", [True, False])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("op", [op for op in UNARY if op != "is_finite"])
def test_an_expanded_kernel_verifies_and_means_the_same(op, dtype, fma):
    kernel = _unary_kernel(op, dtype)
    expanded = expand_math(kernel, fma)
    verify_kernel(expanded)
    left = {e.op for e in _expressions(expanded) if isinstance(e, Unary | Binary)}
    assert not left & {*UNARY, *BINARY}
    assert fma or not any(isinstance(e, Fma) for e in _expressions(expanded))
    values = _values(dtype)
    np.testing.assert_array_max_ulp(_run(expanded, values), _run(kernel, values), 4)


@pytest.mark.parametrize("op", ["pow", "atan2"])
def test_a_binary_op(op):
    kernel = _kernel(lambda x, y, at: (Store(y, at, Binary(op, Load(x, at), Load(x, at))),))
    expanded = expand_math(kernel)
    verify_kernel(expanded)
    np.testing.assert_array_max_ulp(_run(expanded, _values(F32)), _run(kernel, _values(F32)), 2)


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
@pytest.mark.parametrize("op", ["exp", "tanh", "sign", "rsqrt"])
def test_narrow_floats_are_computed_in_f32(op, dtype):
    kernel = _unary_kernel(op, dtype)
    expanded = expand_math(kernel)
    verify_kernel(expanded)
    computed = [e for e in _expressions(expanded) if isinstance(e, Unary | Binary | Fma | Select)]
    assert all(e.dtype != dtype for e in computed)
    got, expected = _run(expanded, _values(dtype)), _run(kernel, _values(dtype))
    eps = 2.0**-10 if dtype == F16 else 2.0**-7
    np.testing.assert_allclose(got.astype(float), expected.astype(float), rtol=eps)


def test_nested_functions_conditions_and_stores_keep_their_order():
    def body(x, y, at):
        value = Unary("exp", Unary("tanh", Load(x, at)))
        again = Unary("exp", Load(y, at))
        positive = Binary("gt", Unary("sin", Load(x, at)), Const(0.0, F32))
        return (Store(y, at, value), If(positive, (Store(y, at, again),)))

    kernel = _kernel(body)
    expanded = expand_math(kernel)
    verify_kernel(expanded)
    np.testing.assert_array_max_ulp(_run(expanded, _values(F32)), _run(kernel, _values(F32)), 8)


def test_names_are_fresh_and_a_kernel_without_functions_is_left_alone():
    x, y = Buffer("m0", (4,), F32), Buffer("y", (4,), F32)
    at = (Var("m1", extent=4),)
    named = Let(Var("m2", F32), Unary("exp", Load(x, at)))
    kernel = Kernel("k", (x, y), 1, (loop(at[0], (named, Store(y, at, named.var))),))
    expanded = expand_math(kernel)
    verify_kernel(expanded)
    names = [s.var.name for s in walk(expanded.body) if isinstance(s, Let | For)]
    assert len(names) == len(set(names))
    assert "m0" not in names
    plain = Kernel("k", (x, y), 1, (loop(at[0], (Store(y, at, Load(x, at)),)),))
    assert expand_math(plain) == plain


def test_a_loop_bound_is_expanded_before_the_loop():
    x, y = Buffer("x", (4,), I64), Buffer("y", (4,), I64)
    bound = Unary("sign", Load(x, (Const(0, I64),)))
    at = Var("i", extent=1)
    store = Store(y, (at,), Const(7, I64))
    kernel = Kernel("k", (x, y), 1, (For(at, Const(0, I64), bound, LoopKind.SERIAL, (store,)),))
    out = np.zeros(4, np.int64)
    interpret(expand_math(kernel), [np.array([9, 0, 0, 0]), out])
    assert out.tolist() == [7, 0, 0, 0]
