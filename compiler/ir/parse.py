"""Reads the text form of functions (compiler/ir/text.py).

Names are resolved, so what comes out is a well-formed graph; whether it obeys the ops' type rules
is for the verifier.  Malformed text raises ParseError and nothing else, however hostile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tensorkiln.compiler.ir.dims import Dim, Symbol, add_dims, scale_dim, symbol_dim
from tensorkiln.compiler.ir.dtypes import DType, dtype_named, is_dtype_name
from tensorkiln.compiler.ir.function import (
    UNKNOWN,
    Attribute,
    Function,
    Location,
    Module,
    Op,
    Value,
)  # fmt: skip
from tensorkiln.compiler.ir.names import RESERVED
from tensorkiln.compiler.ir.parse_arrays import array_data
from tensorkiln.compiler.ir.tokens import Token, Tokens
from tensorkiln.compiler.ir.types import TensorType

_MAX_ELEMENTS = 1 << 59  # times 8 bytes still fits 64 bits with a sign


def parse_module(text: str) -> Module:
    """All functions in `text`."""
    parser = _Parser(text)
    found: dict[str, Function] = {}
    while parser.tokens.token.kind != "end":
        head = parser.tokens.token
        function = parser.function({})
        if function.name in found:
            parser.tokens.fail(f"there are two functions named {function.name!r}", head)
        found[function.name] = function
    return Module(tuple(found.values()))


def parse_function(text: str) -> Function:
    """The only function in `text`."""
    parser = _Parser(text)
    function = parser.function({})
    parser.tokens.take("end", "the end of the text")
    return function


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = Tokens(text, "%@$")
        self.symbols: dict[str, Symbol] = {}
        self.values: dict[str, Value] = {}

    def function(self, outer_symbols: Mapping[str, Symbol]) -> Function:
        """A function; as a region it sees the symbols of the functions around it."""
        tokens = self.tokens
        saved = self.symbols, self.values
        self.symbols, self.values = dict(outer_symbols), {}
        tokens.nest()
        tokens.expect("func")
        name = self._sigil("@", "@name")
        symbols = self._generics()
        parameters = self._parameters()
        tokens.expect("->")
        types, names = self._result_types()
        aliases = self._aliases()
        tokens.expect("{")
        ops: list[Op] = []
        while not tokens.at("return"):
            ops.append(self._op())
        head = tokens.advance()
        results = self._operands("}")
        if [v.type for v in results] != types:
            returned = ", ".join(str(v.type) for v in results)
            tokens.fail(f"the function returns ({returned}), which is not what it declares", head)
        tokens.leave()
        self.symbols, self.values = saved
        result_names = tuple(names) if any(names) else ()
        return Function(name, parameters, tuple(ops), results, result_names, aliases, symbols)

    def _generics(self) -> tuple[Symbol, ...]:
        found: list[Symbol] = []
        if self.tokens.accept("<"):
            while not self.tokens.accept(">"):
                if found:
                    self.tokens.expect(",")
                head = self.tokens.token
                name = self._symbol_name()
                self.tokens.expect(":")
                minimum = self.tokens.integer("the least size")
                self.tokens.expect("..")
                number = self.tokens.token.kind == "number"
                maximum = self.tokens.integer("the greatest size") if number else None
                if minimum < 0 or (maximum is not None and maximum < minimum):
                    self.tokens.fail(f"symbol {name!r} has an empty range", head)
                symbol = Symbol(name, minimum, maximum)
                # A region may repeat a symbol of the function around it.
                if symbol in found or self.symbols.get(name, symbol) != symbol:
                    self.tokens.fail(f"symbol {name!r} is declared twice", head)
                self.symbols[name] = symbol
                found.append(symbol)
        return tuple(found)

    def _parameters(self) -> tuple[Value, ...]:
        found: list[Value] = []
        self.tokens.expect("(")
        while not self.tokens.accept(")"):
            if found:
                self.tokens.expect(",")
            found.append(self._declaration())
        return tuple(found)

    def _result_types(self) -> tuple[list[TensorType], list[str]]:
        types: list[TensorType] = []
        names: list[str] = []
        self.tokens.expect("(")
        while not self.tokens.accept(")"):
            if types:
                self.tokens.expect(",")
            types.append(self._type())
            named = self.tokens.token.kind == "string"
            names.append(self.tokens.advance().text if named else "")
        return types, names

    def _aliases(self) -> dict[int, int]:
        aliases: dict[int, int] = {}
        if self.tokens.accept("alias"):
            self.tokens.expect("{")
            while not self.tokens.accept("}"):
                if aliases:
                    self.tokens.expect(",")
                head = self.tokens.token
                result = self.tokens.integer("the number of a result")
                if result in aliases:
                    self.tokens.fail(f"result {result} has two aliases", head)
                self.tokens.expect(":")
                aliases[result] = self.tokens.integer("the number of a parameter")
        return aliases

    # Ops

    def _op(self) -> Op:
        tokens = self.tokens
        results: list[Value] = []
        pending: list[tuple[Token, Value]] = []
        while tokens.token.kind == "sigil":
            pending.append((tokens.token, self._value_declaration()))
            if not tokens.accept(","):
                tokens.expect("=")
                break
        name = tokens.take("name", "the name of an op").text
        tokens.expect("(")
        operands = self._operands(")")
        attributes = self._attributes()
        regions: list[Function] = []
        if tokens.accept("("):
            while not tokens.accept(")"):
                regions.append(self.function(self.symbols))
        location = self._location()
        for token, value in pending:  # only now: an op does not see its own results
            self._define(token, value)
            results.append(value)
        return Op(name, operands, tuple(results), attributes, tuple(regions), location)

    def _operands(self, end: str) -> tuple[Value, ...]:
        found: list[Value] = []
        while not self.tokens.accept(end):
            if found:
                self.tokens.expect(",")
            token = self.tokens.token
            name = self._sigil("%", "a value")
            if name not in self.values:
                self.tokens.fail(f"no value %{name} is defined above", token)
            found.append(self.values[name])
        return tuple(found)

    def _attributes(self) -> dict[str, Attribute]:
        attributes: dict[str, Attribute] = {}
        if self.tokens.accept("{"):
            while not self.tokens.accept("}"):
                if attributes:
                    self.tokens.expect(",")
                head = self.tokens.token
                if head.kind not in ("name", "string"):
                    self.tokens.fail("expected the name of an attribute")
                name = self.tokens.advance().text
                if name in attributes:
                    self.tokens.fail(f"attribute {name!r} is given twice", head)
                self.tokens.expect("=")
                attributes[name] = self._attribute()
        return attributes

    def _location(self) -> Location:
        tokens = self.tokens
        if not tokens.accept("loc"):
            return UNKNOWN
        tokens.expect("(")
        node = tokens.take("string", "the node's name in quotes").text
        tokens.expect(",")
        file = tokens.take("string", "the file's name in quotes").text
        tokens.expect(",")
        line = tokens.integer("a line number")
        tokens.expect(")")
        return Location(node, file, line)

    def _declaration(self) -> Value:
        token = self.tokens.token
        value = self._value_declaration()
        self._define(token, value)
        return value

    def _value_declaration(self) -> Value:
        name = self._sigil("%", "a value")
        self.tokens.expect(":")
        return Value(name, self._type())

    def _define(self, token: Token, value: Value) -> None:
        if value.name in self.values:
            self.tokens.fail(f"%{value.name} is defined twice", token)
        self.values[value.name] = value

    def _sigil(self, sign: str, what: str) -> str:
        token = self.tokens.token
        if token.kind != "sigil" or token.text[0] != sign:
            self.tokens.fail(f"expected {what}, found {self.tokens.found()}")
        return self.tokens.advance().text[1:]

    # Types and dims

    def _type(self) -> TensorType:
        head = self.tokens.token
        dtype = self._dtype()
        shape: list[Dim] = []
        self.tokens.expect("[")
        while not self.tokens.accept("]"):
            if shape:
                self.tokens.expect(",")
            shape.append(self._dim())
        sizes = [dim for dim in shape if isinstance(dim, int)]
        if min(sizes, default=0) < 0 or math.prod(s or 1 for s in sizes) > _MAX_ELEMENTS:
            self.tokens.fail("no tensor has this shape", head)
        return TensorType(tuple(shape), dtype)

    def _dtype(self) -> DType:
        token = self.tokens.take("name", "a dtype")
        if not is_dtype_name(token.text):
            self.tokens.fail(f"{token.text!r} is no dtype", token)
        return dtype_named(token.text)

    def _dim(self) -> Dim:
        dim = self._dim_term()
        while self.tokens.accept("+"):
            dim = add_dims(dim, self._dim_term())
        return dim

    def _dim_term(self) -> Dim:
        if self.tokens.token.kind != "number" and not self.tokens.at("-"):
            return symbol_dim(self._symbol())
        number = self.tokens.integer("a size")
        return scale_dim(symbol_dim(self._symbol()), number) if self.tokens.accept("*") else number

    def _symbol(self) -> Symbol:
        token = self.tokens.token
        name = self._symbol_name()
        if name not in self.symbols:
            self.tokens.fail(f"no symbol {name!r} is declared", token)
        return self.symbols[name]

    def _symbol_name(self) -> str:
        token = self.tokens.token
        if token.kind == "sigil":
            return self._sigil("$", "the name of a size")
        if token.text in RESERVED or is_dtype_name(token.text):
            self.tokens.fail(f"{token.text!r} names a size only as ${token.text}")
        return self.tokens.take("name", "a size").text

    # Attributes

    def _attribute(self) -> Attribute:
        tokens = self.tokens
        token = tokens.token
        if token.kind == "string":
            return tokens.advance().text
        if tokens.at("("):
            return self._tuple()
        if token.kind == "name" and token.text in ("true", "false"):
            return tokens.advance().text == "true"
        if token.kind == "name" and is_dtype_name(token.text):
            return self._dtype_or_array()
        if token.kind == "number" or tokens.at("-") or token.text in ("inf", "nan"):
            return self._number()
        return self._dim()

    def _tuple(self) -> tuple[Attribute, ...]:
        tokens = self.tokens
        tokens.nest()
        tokens.expect("(")
        members: list[Attribute] = []
        while not tokens.accept(")"):
            if members:
                tokens.expect(",")
            members.append(self._attribute())
        tokens.leave()
        return tuple(members)

    def _number(self) -> Attribute:
        tokens = self.tokens
        negative = tokens.accept("-")
        token = tokens.token
        if token.kind == "name" and token.text in ("inf", "nan"):
            value = float(tokens.advance().text)
        else:
            text = tokens.take("number", "a number").text
            if text.isdigit():
                return self._integer_or_dim(-int(text) if negative else int(text))
            value = float(text)
        return -value if negative else value

    def _integer_or_dim(self, number: int) -> Dim:
        dim: Dim = number
        if self.tokens.accept("*"):
            dim = scale_dim(symbol_dim(self._symbol()), number)
        while self.tokens.accept("+"):
            dim = add_dims(dim, self._dim_term())
        return dim

    def _dtype_or_array(self) -> Attribute:
        head = self.tokens.token
        kind = self._array_type()
        if isinstance(kind, DType):
            return kind
        return array_data(self.tokens, kind, head)

    def _array_type(self) -> TensorType | DType:
        dtype = self._dtype()
        if not self.tokens.accept("["):
            return dtype
        shape: list[int] = []
        while not self.tokens.accept("]"):
            if shape:
                self.tokens.expect(",")
            shape.append(self.tokens.integer("a size"))
        return TensorType(tuple(shape), dtype)
