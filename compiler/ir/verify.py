"""Checks that a function is well formed, by numbered invariants.

V1   names of values are unique in their function, and not empty
V2   an operand is a parameter or the result of an op above; a region sees only its own values
V3   a value is made in one place
V4   the types of an op's results are those that its type rule gives
V5   a result of the function is one of its values, and has a name each or none at all
V6   an alias maps a result to a parameter of its type, and no parameter is taken twice
V7   attributes are plain data: bool, int, float, str, DType, Affine, an array, tuples of these
V8   symbols are declared by the function, or by one around a region, once each, with a range that
     is not empty
V9   the regions of an op are well formed
V10  dims are not negative
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NoReturn, TypeAlias

import numpy as np

from tensorkiln.compiler.ir.dims import Affine, Symbol
from tensorkiln.compiler.ir.dtypes import COMPLEX, DTYPES, DType
from tensorkiln.compiler.ir.function import UNKNOWN, Attribute, Function, Op, Value
from tensorkiln.compiler.ir.text import print_op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.runtime.errors import TypeRuleError, VerifyError

Types: TypeAlias = Callable[[Op], tuple[TensorType, ...]]
_NUMPY_DTYPES = frozenset(dtype.numpy for dtype in (*DTYPES, *COMPLEX))
_SHOWN = 4  # elements up to which an error message shows an array


def verify_function(function: Function, types: Types) -> None:
    """Raises VerifyError, which cites the invariant, the op's text and its location.

    `types` is the type rule of every op (`Registry.types`).
    """
    _Verifier(function, types, frozenset()).run()


class _Verifier:
    def __init__(self, function: Function, types: Types, outer_symbols: frozenset[Symbol]) -> None:
        self.function = function
        self.types = types
        self.symbols = outer_symbols | set(function.symbols)
        self.visible: dict[Value, None] = {}
        self.names: set[str] = set()
        self.op: Op | None = None

    def run(self) -> None:
        self._declared_symbols()
        for value in self.function.parameters:
            self._define(value)
        for op in self.function.ops:
            self.op = op
            self._op(op)
        self.op = None
        self._results()
        self._aliases()

    def fail(self, number: int, message: str) -> NoReturn:
        where = ""
        if self.op is not None:
            place = "" if self.op.location == UNKNOWN else f", from {self.op.location}"
            # What is no attribute has no text either.
            op = replace(self.op, attributes={}) if number == 7 else self.op
            head = print_op(op, _SHOWN).split("\n", 1)[0].strip()
            where = f", at: {head.removesuffix(' (')}{place}"
        raise VerifyError(f"function {self.function.name}: V{number}: {message}{where}")

    def _declared_symbols(self) -> None:
        names = [symbol.name for symbol in self.symbols]
        if len(set(names)) != len(names) or len(set(self.function.symbols)) != len(
            self.function.symbols
        ):
            self.fail(8, f"a symbol is declared twice: {', '.join(sorted(names))}")
        for symbol in self.function.symbols:
            if symbol.minimum < 0 or (symbol.maximum or symbol.minimum) < symbol.minimum:
                self.fail(8, f"symbol {symbol.name} has no size")

    def _define(self, value: Value) -> None:
        if value in self.visible:
            self.fail(3, f"%{value.name} is made twice")
        if not value.name or value.name in self.names:
            self.fail(1, f"two values are named %{value.name}" if value.name else "no name")
        self.visible[value] = None
        self.names.add(value.name)
        if any(isinstance(dim, int) and dim < 0 for dim in value.type.shape):
            self.fail(10, f"%{value.name} has type {value.type}")
        self._check_symbols(value.type.shape, f"the type of %{value.name}")

    def _check_symbols(self, parts: Iterable[Attribute], where: str) -> None:
        for part in parts:
            if isinstance(part, Affine):
                for symbol, _ in part.terms:
                    if symbol not in self.symbols:
                        self.fail(8, f"{where} uses {symbol.name}, which is not declared so")
            elif isinstance(part, tuple):
                self._check_symbols(part, where)

    def _op(self, op: Op) -> None:
        for operand in op.operands:
            if operand not in self.visible:
                self.fail(2, f"%{operand.name} is not made above")
        for name, attribute in op.attributes.items():
            self._attribute(name, attribute)
            self._check_symbols((attribute,), f"attribute {name}")
        for region in op.regions:
            try:
                _Verifier(region, self.types, self.symbols).run()
            except VerifyError as error:
                self.fail(9, f"region {region.name}: {error}")
        for value in op.results:
            self._define(value)
        found = tuple(value.type for value in op.results)
        try:
            wanted = tuple(self.types(op))
        except TypeRuleError as error:
            self.fail(4, str(error))
        if found != wanted:
            given, rule = (", ".join(map(str, t)) for t in (found, wanted))
            self.fail(4, f"the results are ({given}), by the op's rule they are ({rule})")

    def _attribute(self, name: str, value: Attribute) -> None:
        if type(value) is tuple:
            for member in value:
                self._attribute(name, member)
        elif isinstance(value, np.ndarray):
            if value.dtype not in _NUMPY_DTYPES:
                self.fail(7, f"attribute {name} is an array of {value.dtype}")
        elif type(value) not in (bool, int, float, str, DType, Affine):
            self.fail(7, f"attribute {name} is a {type(value).__name__}")

    def _results(self) -> None:
        function = self.function
        for value in function.results:
            if value not in self.visible:
                self.fail(5, f"the result %{value.name} is not made in the function")
        if function.result_names and len(function.result_names) != len(function.results):
            self.fail(5, f"{len(function.results)} results have {len(function.result_names)} names")

    def _aliases(self) -> None:
        function = self.function
        taken: set[int] = set()
        for result, parameter in function.aliases.items():
            if not 0 <= result < len(function.results):
                self.fail(6, f"there is no result {result}")
            if not 0 <= parameter < len(function.parameters):
                self.fail(6, f"there is no parameter {parameter}")
            if parameter in taken:
                self.fail(6, f"parameter {parameter} is the alias of two results")
            taken.add(parameter)
            if function.results[result].type != function.parameters[parameter].type:
                self.fail(6, f"result {result} and parameter {parameter} differ in type")
