"""Builds functions op by op, checking each type rule as it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from tensorkiln.compiler.ir.dims import Symbol, symbols_of
from tensorkiln.compiler.ir.dtypes import DType, dtype_of
from tensorkiln.compiler.ir.function import (
    UNKNOWN,
    Attribute,
    Function,
    Location,
    Op,
    Value,
)  # fmt: skip
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.registry import Registry
from tensorkiln.runtime.errors import TypeRuleError


class Builder:
    """Appends ops to a function under construction."""

    def __init__(self, registry: Registry, name: str = "main") -> None:
        self.registry = registry
        self.name = name
        self.location = UNKNOWN
        self.ops: list[Op] = []
        self.parameters: list[Value] = []
        self._names: set[str] = set()
        self._next = 0
        self._scalars: dict[tuple[DType, bytes], Value] = {}

    @contextmanager
    def at(self, location: Location) -> Iterator[None]:
        """Ops made inside carry `location`."""
        before, self.location = self.location, location
        try:
            yield
        finally:
            self.location = before

    def fresh(self, hint: str = "") -> str:
        """A value name not used yet, `hint` itself if it is free."""
        if hint and hint not in self._names:
            self._names.add(hint)
            return hint
        while True:
            name = f"{hint}_{self._next}" if hint else str(self._next)
            self._next += 1
            if name not in self._names:
                self._names.add(name)
                return name

    def parameter(self, name: str, kind: TensorType) -> Value:
        """Adds a parameter."""
        value = Value(self.fresh(name), kind)
        self.parameters.append(value)
        return value

    def op(
        self,
        name: str,
        operands: Sequence[Value] = (),
        attributes: Mapping[str, Attribute] | None = None,
        regions: tuple[Function, ...] = (),
    ) -> tuple[Value, ...]:
        """Appends an op and returns its results; TypeRuleError names the op and its location."""
        attributes = dict(attributes or {})
        try:
            types = self.registry.infer(name, [v.type for v in operands], attributes, regions)
        except TypeRuleError as error:
            place = f" ({self.location})" if self.location != UNKNOWN else ""
            raise TypeRuleError(f"{name}{place}: {error}") from None
        results = tuple(Value(self.fresh(), kind) for kind in types)
        self.ops.append(Op(name, tuple(operands), results, attributes, regions, self.location))
        return results

    def one(self, name: str, operands: Sequence[Value] = (), **attributes: Attribute) -> Value:
        """Appends an op that has one result and returns that."""
        (value,) = self.op(name, operands, attributes)
        return value

    def append(self, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
        """Appends a copy of `op` with other operands; its types are inferred anew."""
        with self.at(op.location):
            return self.op(op.name, operands, op.attributes, op.regions)

    def replace(self, op: Op, ops: Sequence[Op]) -> None:
        """Puts `ops`, whose last one has the results of `op` among its own, in place of `op`."""
        position = self.ops.index(op)
        self.ops[position : position + 1] = ops

    def inline(self, function: Function, operands: Sequence[Value]) -> list[Value]:
        """Appends copies of the function's ops with `operands` as its parameters."""
        values = dict(zip(function.parameters, operands, strict=True))
        for op in function.ops:
            copies = self.append(op, [values[v] for v in op.operands])
            values.update(zip(op.results, copies, strict=True))
        return [values[v] for v in function.results]

    def constant(self, array: ArrayLike, dtype: DType | None = None) -> Value:
        """A constant; a Python number needs `dtype`.  Scalars are shared."""
        data = np.array(array, dtype=dtype.numpy if dtype else None)
        kind = dtype_of(data.dtype)
        data.setflags(write=False)
        if data.ndim > 0:
            return self.one("constant", value=data)
        key = (kind, data.tobytes())
        if key not in self._scalars:
            self._scalars[key] = self.one("constant", value=data)
        return self._scalars[key]

    def finish(
        self,
        results: Sequence[Value],
        result_names: Sequence[str] = (),
        aliases: Mapping[int, int] | None = None,
    ) -> Function:
        """The function that returns `results`."""
        symbols: dict[Symbol, None] = {}
        for value in self.parameters:
            symbols.update(dict.fromkeys(symbols_of(value.type.shape)))
        return Function(
            self.name,
            tuple(self.parameters),
            tuple(self.ops),
            tuple(results),
            tuple(result_names),
            dict(aliases or {}),
            tuple(symbols),
        )
