"""Replaces symbolic dims by sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tensorkiln.compiler.ir.dims import Affine, substitute
from tensorkiln.compiler.ir.function import Attribute, Function, Op, Value
from tensorkiln.compiler.ir.types import TensorType


def specialize(function: Function, sizes: Mapping[str, int]) -> Function:
    """`function` with the symbols named in `sizes` replaced, in types, attributes and regions."""
    values: dict[Value, Value] = {}

    def define(value: Value) -> Value:
        shape = tuple(substitute(dim, sizes) for dim in value.type.shape)
        values[value] = Value(value.name, TensorType(shape, value.dtype))
        return values[value]

    def copy(op: Op) -> Op:
        return Op(
            op.name,
            tuple(values[v] for v in op.operands),
            tuple(define(v) for v in op.results),
            {name: _attribute(value, sizes) for name, value in op.attributes.items()},
            tuple(specialize(region, sizes) for region in op.regions),
            op.location,
        )

    return replace(
        function,
        parameters=tuple(define(v) for v in function.parameters),
        ops=tuple(copy(op) for op in function.ops),
        results=tuple(values[v] for v in function.results),
        symbols=tuple(s for s in function.symbols if s.name not in sizes),
    )


def _attribute(value: Attribute, sizes: Mapping[str, int]) -> Attribute:
    if isinstance(value, tuple):
        return tuple(_attribute(v, sizes) for v in value)
    return substitute(value, sizes) if isinstance(value, Affine) else value
