"""Every invariant of the function verifier, broken once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tensorkiln.compiler.ir.dims import Symbol, symbol_dim
from tensorkiln.compiler.ir.dtypes import F32, I32
from tensorkiln.compiler.ir.function import Function, Location, Op, Value
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.runtime.errors import VerifyError

VECTOR = TensorType((3,), F32)
X, Y, Z = Value("x", VECTOR), Value("y", VECTOR), Value("z", VECTOR)
ADD = Op("add", (X, X), (Y,), location=Location("sum", "model.py", 12))
GOOD = Function("f", (X,), (ADD,), (Y,), ("out",), {0: 0})


def broken(number: int, function: Function) -> str:
    with pytest.raises(VerifyError, match=f"^function f: V{number}: ") as caught:
        verify_function(function, REGISTRY.types)
    return str(caught.value)


def test_good():
    verify_function(GOOD, REGISTRY.types)


def test_v1_names():
    broken(1, replace(GOOD, parameters=(X, Value("x", VECTOR))))
    broken(1, replace(GOOD, ops=(replace(ADD, results=(Value("x", VECTOR),)),)))
    broken(1, replace(GOOD, parameters=(X, Value("", VECTOR))))


def test_v2_order():
    message = broken(2, replace(GOOD, ops=(replace(ADD, operands=(X, Z)),)))
    assert message == (
        "function f: V2: %z is not made above, "
        'at: %y: f32[3] = add(%x, %z) loc("sum", "model.py", 12), from \'sum\' at model.py:12'
    )
    broken(2, replace(GOOD, ops=(replace(ADD, operands=(Y, X)),)))


def test_v3_made_once():
    broken(3, replace(GOOD, ops=(ADD, ADD)))


def test_v4_types():
    wrong = Value("y", TensorType((4,), F32))
    message = broken(4, replace(GOOD, ops=(replace(ADD, results=(wrong,)),), results=(wrong,)))
    assert "the results are (f32[4]), by the op's rule they are (f32[3])" in message
    other = Value("w", TensorType((3,), I32))
    mixed = replace(GOOD, parameters=(X, other), ops=(replace(ADD, operands=(X, other)),))
    assert "operand types differ: f32[3], i32[3]" in broken(4, mixed)
    assert "no op is named 'frob'" in broken(4, replace(GOOD, ops=(replace(ADD, name="frob"),)))


def test_v5_results():
    broken(5, replace(GOOD, results=(Z,)))
    broken(5, replace(GOOD, result_names=("a", "b")))


def test_v6_aliases():
    broken(6, replace(GOOD, aliases={1: 0}))
    broken(6, replace(GOOD, aliases={0: 1}))
    broken(6, replace(GOOD, results=(Y, Y), result_names=(), aliases={0: 0, 1: 0}))
    other = Value("w", TensorType((4,), F32))
    broken(6, replace(GOOD, parameters=(X, other), aliases={0: 1}))


@pytest.mark.parametrize("value", [[1], None, np.float32(1), np.array(["a"]), (1, (b"",)), {}])
def test_v7_attributes(value: object):
    broken(7, replace(GOOD, ops=(replace(ADD, attributes={"a": value}),)))


def test_v8_symbols():
    size = Symbol("n", 1, 4)
    kind = TensorType((symbol_dim(size),), F32)
    x, y = Value("x", kind), Value("y", kind)
    good = Function("f", (x,), (Op("add", (x, x), (y,)),), (y,), symbols=(size,))
    verify_function(good, REGISTRY.types)
    broken(8, replace(good, symbols=()))
    broken(8, replace(good, symbols=(size, size)))
    broken(8, replace(good, symbols=(size, Symbol("n", 1, 5))))
    broken(8, replace(good, symbols=(Symbol("n", 1, 5),)))
    broken(8, replace(good, symbols=(size, Symbol("m", 5, 4))))
    attribute = Op("add", (x, x), (y,), {"a": (1, (symbol_dim(Symbol("m")),))})
    broken(8, replace(good, ops=(attribute,)))


def test_v9_regions():
    text = """func @f(%x: f32[3]) -> (f32[3]) {
      %y: f32[3] = fusion(%x) {kind = "loops", stopped = ""} (
        func @g(%a: f32[3]) -> (f32[3]) {
          %b: f32[3] = exponential(%a)
          return %b
        }
      )
      return %y
    }"""
    good = parse_function(text)
    verify_function(good, REGISTRY.types)
    (fusion,) = good.ops
    (region,) = fusion.regions
    captured = replace(region, ops=(replace(region.ops[0], operands=good.parameters),))
    message = broken(9, replace(good, ops=(replace(fusion, regions=(captured,)),)))
    assert "region g: function g: V2: %x is not made above" in message


def test_v10_dims():
    broken(10, replace(GOOD, parameters=(X, Value("w", TensorType((-1,), F32)))))
