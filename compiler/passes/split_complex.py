"""Complex values to pairs of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorkiln.compiler.ir.dtypes import part_of
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.complex_rules import COMPLEX_RULES, Part, involves_complex
from tensorkiln.compiler.ops.shorthand import slice_axis, squeeze, stack
from tensorkiln.runtime.errors import UnsupportedError

_REGIONS = ("while", "case")  # ops whose operands, regions' parameters and results go together


def split_complex(function: Function) -> Function:
    """Replaces each complex value by its real and its imaginary part.

        func @main(%x: c64[3])              ->    func @main(%x: f32[3,2])
          %0: c64[3] = negate(%x)                   %0: f32[3] = ... the first of each pair of %x
          return %0                                 %1: f32[3] = ... the second one
                                                    %2: f32[3] = negate(%0) ...

    Parameters and results become real tensors with a last dim of 2, which is how complex numbers
    lie in memory, so that callers need not know.  Afterwards no value is complex.
    """
    return _Splitter(function).run() if _has_complex(function) else function


def _has_complex(function: Function) -> bool:
    return any(v.dtype.is_complex for v in function.parameters) or any(
        involves_complex(op) or any(_has_complex(region) for region in op.regions)
        for op in function.ops
    )


class _Splitter:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.builder = Builder(REGISTRY, function.name)
        self.parts: dict[Value, Part] = {}
        for value in (*function.parameters, *(v for op in function.ops for v in op.results)):
            self.builder.fresh(value.name)

    def run(self) -> Function:
        """The function, with parameters and results as callers hold them."""
        parameters = []
        for value in self.function.parameters:
            if value.dtype.is_complex:
                whole = Value(value.name, _pairs(value.type))
                parameters.append(whole)
                self.parts[value] = self._halves(whole)
            else:
                parameters.append(value)
        self._ops()
        results = [self._whole(v) for v in self.function.results]
        return replace(
            self.function,
            parameters=tuple(parameters),
            ops=tuple(self.builder.ops),
            results=tuple(results),
        )

    def region(self) -> Function:
        """The function with two parameters and two results for each complex one."""
        parameters: list[Value] = []
        for value in self.function.parameters:
            if value.dtype.is_complex:
                kind = value.type.with_dtype(part_of(value.dtype))
                both = tuple(Value(self.builder.fresh(value.name), kind) for _ in range(2))
                self.parts[value] = (both[0], both[1])
                parameters += both
            else:
                parameters.append(value)
        self._ops()
        results = self._flat([self._part(v) for v in self.function.results])
        return replace(
            self.function,
            parameters=tuple(parameters),
            ops=tuple(self.builder.ops),
            results=tuple(results),
            result_names=(),
        )

    def _part(self, value: Value) -> Part:
        return self.parts.get(value, value)

    def _flat(self, parts: Sequence[Part]) -> list[Value]:
        return [v for part in parts for v in (part if isinstance(part, tuple) else (part,))]

    def _halves(self, whole: Value) -> tuple[Value, Value]:
        first, second = (
            squeeze(self.builder, slice_axis(self.builder, whole, -1, k, k + 1), (-1,))
            for k in (0, 1)
        )
        return first, second

    def _whole(self, value: Value) -> Value:
        part = self._part(value)
        if not isinstance(part, tuple):
            return part
        return stack(self.builder, part, value.type.rank)

    def _ops(self) -> None:
        for op in self.function.ops:
            with self.builder.at(op.location):
                self._op(op)

    def _op(self, op: Op) -> None:
        given = [self._part(v) for v in op.operands]
        if op.name in ("real", "imag"):
            (both,) = given
            assert isinstance(both, tuple)
            self.parts[op.result] = both[op.name == "imag"]
        elif op.name == "complex":
            self.parts[op.result] = (self._only(given[0]), self._only(given[1]))
        elif any(map(_has_complex, op.regions)) or (op.regions and involves_complex(op)):
            self._with_regions(op, given)
        elif involves_complex(op):
            rule = COMPLEX_RULES.get(op.name)
            if rule is None:
                raise UnsupportedError(f"{op.name} {op.location} of complex numbers has no kernel")
            self.parts.update(zip(op.results, rule(self.builder, op, given), strict=True))
        else:
            operands = tuple(map(self._only, given))
            self.builder.ops.append(
                op if operands == op.operands else replace(op, operands=operands)
            )

    def _only(self, part: Part) -> Value:
        assert not isinstance(part, tuple)
        return part

    def _with_regions(self, op: Op, given: Sequence[Part]) -> None:
        if op.name not in _REGIONS:
            raise UnsupportedError(f"{op.name} {op.location} of complex numbers has no kernel")
        regions = tuple(_Splitter(region).region() for region in op.regions)
        found = iter(self.builder.op(op.name, self._flat(given), op.attributes, regions))
        for value in op.results:
            complex_ = value.dtype.is_complex
            self.parts[value] = (next(found), next(found)) if complex_ else next(found)


def _pairs(kind: TensorType) -> TensorType:
    return TensorType((*kind.shape, 2), part_of(kind.dtype))
