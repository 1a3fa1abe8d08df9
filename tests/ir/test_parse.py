"""Text of functions: exact output, round trips, and errors with a place."""

from __future__ import annotations

import math
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorkiln.compiler.ir.dims import Dim, Symbol, add_dims, scale_dim, symbol_dim
from tensorkiln.compiler.ir.dtypes import BF16, BOOL, DTYPES, F32, I32
from tensorkiln.compiler.ir.function import (
    UNKNOWN,
    Attribute,
    Function,
    Location,
    Module,
    Op,
    Value,
)
from tensorkiln.compiler.ir.parse import parse_function, parse_module
from tensorkiln.compiler.ir.text import print_function, print_module
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.runtime.errors import ParseError, TypeRuleError, VerifyError

TEXT = r"""func @main<batch: 1..64, $"N+1": 0..>(%x: f32[batch,3], %"conv/w:0": f32[3]) -> (f32[batch,3] "y/\"q\"", f32[]) alias {0: 0} {
  %0: f32[] = constant() {value = f32[] -0.5} loc("init", "m.py", 7)
  %1: f32[batch,3] = broadcast_in_dim(%0) {shape = (batch, 3), dimensions = ()}
  %2: f32[batch,3] = fusion(%x, %1) {kind = "loops", stopped = ""} (
    func @group(%a: f32[batch,3], %b: f32[batch,3]) -> (f32[batch,3]) {
      %c: f32[batch,3] = add(%a, %b)
      return %c
    }
  )
  %3: i32[$"N+1"], %4: bf16[$"N+1"+2*batch+-1] = odd() {a = (1), b = (), c = bf16, d = 2*batch+-1, e = 1e+16, f = nan, g = -inf, h = u8[0,2] 0x, i = ((0, 1), (true, "\n\xe9")), j = i32[2] 1 -2, "k k" = f32[1] 0x0100c07f}
  nothing(%4)
  return %2, %0
}
"""


def test_text_is_kept_exactly():
    assert print_function(parse_function(TEXT)) == TEXT


def test_what_is_read():
    function = parse_function(TEXT)
    batch, size = function.symbols
    assert (batch, size) == (Symbol("batch", 1, 64), Symbol("N+1", 0, None))
    assert function.result_names == ('y/"q"', "")
    assert function.aliases == {0: 0}
    constant, broadcast, fusion, odd, nothing = function.ops
    assert constant.location == Location("init", "m.py", 7)
    assert constant.array("value").dtype == np.float32
    assert broadcast.attributes["shape"] == (symbol_dim(batch), 3)
    assert fusion.regions[0].ops[0].name == "add"
    assert odd.results[1].type.shape == (
        add_dims(add_dims(scale_dim(symbol_dim(batch), 2), symbol_dim(size)), -1),
    )
    assert odd.attributes["a"] == (1,)
    assert odd.attributes["c"] is BF16
    assert odd.attributes["i"] == ((0, 1), (True, "\n\u00e9"))
    assert odd.array("h").shape == (0, 2)
    assert odd.array("j").tolist() == [1, -2]
    assert odd.array("k k").tobytes().hex() == "0100c07f"
    assert not nothing.results


def test_module_round_trips_and_names_are_unique():
    one = "func @f() -> () {\n  return\n}\n"
    module = parse_module(one + "# a comment\n" + one.replace("@f", '@"g/1"'))
    assert [f.name for f in module] == ["f", "g/1"]
    assert print_module(parse_module(print_module(module))) == print_module(module)
    with pytest.raises(ParseError, match="two functions named 'f'"):
        parse_module(one + one)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("func @f() -> () {\n  return %a\n}", "line 2, column 10: no value %a is defined above"),
        ("func @f(%a: f32[], %a: f32[]) -> () { return }", "%a is defined twice"),
        ("func @f(%a: f32[n]) -> () { return }", "no symbol 'n' is declared"),
        ("func @f(%a: f32[]) -> (i32[]) { return %a }", "which is not what it declares"),
        ("func @f(%a: f32[99999999999,99999999999]) -> () { return }", "no tensor has this shape"),
        ("func @f(%a: f32[-1]) -> () { return }", "no tensor has this shape"),
        ("func @f() -> () { o() {v = f32[1000000000000] 0x00} return }", "8000000000000 hex"),
        ("func @f() -> () { o() {v = i8[100000000000] 1 2 3} return }", "a number of dtype i8"),
        ("func @f() -> () { o() {v = i8[1] 128} return }", "128 is no i8"),
        ("func @f() -> () { o() {v = bool[1] 0x07} return }", "a bool is 00 or 01"),
        ("func @f() -> () { o() {v = f32[9223372036854775807,0] 0x} return }", "no array has"),
        ("func @f() -> () { o() {v = 1, v = 2} return }", "attribute 'v' is given twice"),
        ("func @f<n: 3..2>() -> () { return }", "symbol 'n' has an empty range"),
        ("func @f<n: 1..2, n: 1..2>() -> () { return }", "symbol 'n' is declared twice"),
        ("func @f<f32: 1..2>() -> () { return }", "names a size only as $f32"),
        ("func @f() -> () { %a: f32[] = o(%a) return }", "no value %a is defined above"),
        ("func @f() -> () { o() {v = f32[2] ...} return }", "expected a number of dtype f32"),
        ('func @f() -> () { o() {v = "\\u12"} return }', "a string holds ASCII"),
        ('func @f() -> () { o() {v = "\\UFFFFFFFF"} return }', "an escape that is no character"),
        ("func @f() -> () { return } x", "expected the end of the text"),
        ("", "found the end of the text"),
    ],
)
def test_errors_name_line_and_column(text: str, message: str):
    with pytest.raises(ParseError, match=re.escape(message)) as caught:
        parse_function(text)
    assert str(caught.value).startswith("line ")


@pytest.mark.parametrize(
    "text",
    [
        "func @f() -> () { o() {v = " + "(" * 9999,
        "func @f() -> () { o() (" * 9999,
        "func @f() -> () { o() {v = " + "9" * 9999,
        "func @f(%a: f32[" + "1+" * 9999,
    ],
)
def test_hostile_nesting_is_an_error(text: str):
    with pytest.raises(ParseError):
        parse_function(text)


NAMES = ["x", "0", "a/b:0", "f32", "return", 'q"\\\n', "ü\ud800", "a.b", "true", "-"]


class Generator:
    """Random functions of ops that do not exist; they only print and parse."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def dim(self, symbols: list[Symbol]) -> Dim:
        total: Dim = self.random.randint(0, 5)
        for symbol in symbols:
            if self.random.random() < 0.4:
                term = scale_dim(symbol_dim(symbol), self.random.choice([-2, 1, 1, 3]))
                total = add_dims(total, term)
        return total

    def type(self, symbols: list[Symbol]) -> TensorType:
        shape = tuple(self.dim(symbols) for _ in range(self.random.randint(0, 3)))
        return TensorType(shape, self.random.choice(DTYPES))

    def value(self, symbols: list[Symbol]) -> Value:
        self.count += 1
        return Value(f"{self.random.choice(NAMES)}{self.count}", self.type(symbols))

    def array(self) -> np.ndarray:
        dtype = self.random.choice(DTYPES)
        shape = self.random.choice([(), (0,), (3,), (2, 2), (3, 7), (1, 0, 2)])
        size = math.prod(shape) * dtype.bytes
        raw = np.frombuffer(self.random.randbytes(size), np.uint8)
        bits = raw & (1 if dtype == BOOL else (1 << min(dtype.bits, 8)) - 1)
        simple = np.arange(math.prod(shape)).astype(dtype.numpy)
        return self.random.choice([bits.view(dtype.numpy), simple]).reshape(shape)

    def attribute(self, symbols: list[Symbol], depth: int = 2) -> Attribute:
        match self.random.randrange(8 if depth else 7):
            case 0:
                return self.random.random() < 0.5
            case 1:
                return self.random.randint(-(2**62), 2**62)
            case 2:
                return self.random.choice([0.0, -0.0, math.inf, -math.inf, 1e-300, 1e16, -2.5])
            case 3:
                return self.random.choice(NAMES)
            case 4:
                return self.random.choice(DTYPES)
            case 5:
                return self.array()
            case 6:
                return self.dim(symbols)
            case _:
                members = range(self.random.randint(0, 3))
                return tuple(self.attribute(symbols, depth - 1) for _ in members)

    def op(self, symbols: list[Symbol], values: list[Value], depth: int) -> Op:
        operands = tuple(self.random.choices(values, k=self.random.randint(0, 3) if values else 0))
        results = tuple(self.value(symbols) for _ in range(self.random.randint(0, 2)))
        attributes = {
            self.random.choice(NAMES): self.attribute(symbols)
            for _ in range(self.random.randint(0, 3))
        }
        regions = range(self.random.randint(0, 2) if depth else 0)
        location = self.random.choice([UNKNOWN, Location('n"ü', "m.py", 3), Location("", "", 1)])
        bodies = tuple(self.function(symbols, depth - 1) for _ in regions)
        return Op("some.op", operands, results, attributes, bodies, location)

    def function(self, outer: list[Symbol], depth: int) -> Function:
        declared = {name: Symbol(name, 0, None) for name in self.random.sample(NAMES, 2)}
        for symbol in outer:
            declared.pop(symbol.name, None)
        symbols = [*outer, *declared.values()]
        values = [self.value(symbols) for _ in range(self.random.randint(0, 3))]
        parameters, ops = tuple(values), []
        for _ in range(self.random.randint(0, 4)):
            ops.append(self.op(symbols, values, depth))
            values += ops[-1].results
        results = tuple(self.random.choices(values, k=self.random.randint(0, 3) if values else 0))
        names = tuple(self.random.choice(NAMES) for _ in results)
        aliases = {k: 0 for k in range(len(results)) if self.random.random() < 0.3}
        return Function(
            self.random.choice(NAMES), parameters, tuple(ops), results, names, aliases,
            tuple(declared.values()),
        )  # fmt: skip


def _assert_same(a: Function, b: Function) -> None:
    assert (a.name, a.result_names, a.aliases, a.symbols) == (
        b.name, b.result_names, b.aliases, b.symbols,
    )  # fmt: skip
    assert [(v.name, v.type) for v in a.parameters] == [(v.name, v.type) for v in b.parameters]
    for x, y in zip(a.ops, b.ops, strict=True):
        assert (x.name, x.location) == (y.name, y.location)
        assert [(v.name, v.type) for v in x.results] == [(v.name, v.type) for v in y.results]
        assert [v.name for v in x.operands] == [v.name for v in y.operands]
        assert list(x.attributes) == list(y.attributes)
        for one, other in zip(x.attributes.values(), y.attributes.values(), strict=True):
            _assert_same_attribute(one, other)
        for inner, again in zip(x.regions, y.regions, strict=True):
            _assert_same(inner, again)


def _assert_same_attribute(a: Attribute, b: Attribute) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, tuple) and isinstance(b, tuple):
        for one, other in zip(a, b, strict=True):
            _assert_same_attribute(one, other)
    elif isinstance(a, float):
        assert repr(a) == repr(b)
    else:
        assert a == b


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_any_function_round_trips(seed: int):
    function = Generator(seed).function([], 2)
    text = print_function(function)
    assert text.isascii()
    again = parse_function(text)
    _assert_same(function, again)
    assert print_function(again) == text


def test_nan_attributes_and_arrays_keep_their_bits():
    for array in (np.array([np.nan, 1], np.float32), np.array([-np.nan], np.float64)):
        op = Op("o", (), (), {"v": array, "w": math.nan})
        text = print_module(Module((Function("f", (), (op,), ()),)))
        (found,) = parse_function(text).ops
        assert found.array("v").tobytes() == array.tobytes()
        assert math.isnan(found.number("w"))


def test_an_elided_array_does_not_parse():
    op = Op("o", (), (), {"v": np.zeros(100, np.float32)})
    text = print_function(Function("f", (), (op,), ()), elide=8)
    assert "f32[100] ..." in text
    with pytest.raises(ParseError):
        parse_function(text)


VALID = """func @main(%x: f32[2,3]) -> (f32[2,3] "y") alias {0: 0} {
  %0: f32[] = constant() {value = f32[] 0.5}
  %1: f32[2,3] = broadcast_in_dim(%0) {shape = (2, 3), dimensions = ()}
  %2: f32[2,3] = add(%x, %1)
  %3: f32[3,2] = transpose(%2) {permutation = (1, 0)}
  %4: f32[2,3] = reshape(%3) {shape = (2, 3)}
  return %4
}
"""


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_text_raises_only_named_errors(data: st.DataObject):
    text = data.draw(st.sampled_from([VALID, TEXT]))
    pieces = [
        "",
        "}",
        "{",
        "(",
        ")",
        "-",
        "0",
        '"',
        "\\",
        "9" * 20,
        "é",
        "%x",
        "(1, 0)",
        "f64",
        "3",
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(len(text), at + 5)))
        piece = data.draw(st.sampled_from(pieces) | st.text(max_size=3))
        text = text[:at] + piece + text[end:]
    try:
        function = parse_function(text)
        verify_function(function, REGISTRY.types)
    except (ParseError, VerifyError, TypeRuleError):
        return
    _assert_same(parse_function(print_function(function)), function)


def test_the_valid_text_is_valid():
    verify_function(parse_function(VALID), REGISTRY.types)
    assert I32.name == "i32"
    assert F32.name == "f32"
