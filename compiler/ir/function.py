"""SSA functions: values, ops, functions, modules.

Everything here is immutable.  Values and ops compare by identity: two ops with equal fields are
two ops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dims import Affine, Symbol
from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.types import TensorType

Array: TypeAlias = NDArray[np.generic]
Attribute: TypeAlias = "bool | int | float | str | DType | Affine | Array | tuple[Attribute, ...]"
Attributes: TypeAlias = Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Location:
    """Where an op comes from: the user's node name and, where known, source file and line."""

    node: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else ""
        return " at ".join(part for part in (repr(self.node) if self.node else "", place) if part)


UNKNOWN = Location()


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A parameter of a function or a result of an op; `name` is unique within its function."""

    name: str
    type: TensorType

    @property
    def shape(self) -> tuple[int, ...]:
        """The static shape; UnsupportedError if a dim is symbolic."""
        return self.type.sizes

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.type.dtype

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operation: what it reads, what it makes, and its attributes.

    `name` is the key of its record in the op registry; `regions` are functions the op runs
    (bodies of fusions, loops and branches).
    """

    name: str
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    attributes: Attributes = field(default_factory=dict)
    regions: tuple[Function, ...] = ()
    location: Location = UNKNOWN

    @property
    def result(self) -> Value:
        """The only result."""
        (value,) = self.results
        return value

    def ints(self, name: str) -> tuple[int, ...]:
        """The attribute `name`, a tuple of integers."""
        value = self.attributes[name]
        if not isinstance(value, tuple):
            raise TypeError(f"attribute {name} of {self.name} is not a tuple")
        return tuple(v for v in value if isinstance(v, int))

    def integer(self, name: str) -> int:
        """The attribute `name`, an integer."""
        value = self.attributes[name]
        if not isinstance(value, int):
            raise TypeError(f"attribute {name} of {self.name} is not an integer")
        return value

    def number(self, name: str) -> float:
        """The attribute `name`, a float (an integer is converted)."""
        value = self.attributes[name]
        if not isinstance(value, int | float):
            raise TypeError(f"attribute {name} of {self.name} is not a number")
        return float(value)

    def flag(self, name: str) -> bool:
        """The attribute `name`, a bool."""
        return self.attributes[name] is True

    def string(self, name: str) -> str:
        """The attribute `name`, a string."""
        value = self.attributes[name]
        if not isinstance(value, str):
            raise TypeError(f"attribute {name} of {self.name} is not a string")
        return value

    def dtype(self, name: str) -> DType:
        """The attribute `name`, a dtype."""
        value = self.attributes[name]
        if not isinstance(value, DType):
            raise TypeError(f"attribute {name} of {self.name} is not a dtype")
        return value

    def array(self, name: str) -> Array:
        """The attribute `name`, a numpy array."""
        value = self.attributes[name]
        if not isinstance(value, np.ndarray):
            raise TypeError(f"attribute {name} of {self.name} is not an array")
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """Parameters, ops in an order that respects data flow, and the values returned.

    `aliases` maps a result's index to the parameter whose buffer it may overwrite (donated
    state); `result_names` are the user's names of the results.
    """

    name: str
    parameters: tuple[Value, ...]
    ops: tuple[Op, ...]
    results: tuple[Value, ...]
    result_names: tuple[str, ...] = ()
    aliases: Mapping[int, int] = field(default_factory=dict)
    symbols: tuple[Symbol, ...] = ()

    def producers(self) -> dict[Value, Op]:
        """Each op's results, mapped to the op."""
        return {value: op for op in self.ops for value in op.results}

    def users(self) -> dict[Value, list[Op]]:
        """Each value, mapped to the ops that read it (once per op), in order."""
        found: dict[Value, list[Op]] = {}
        for op in self.ops:
            for value in dict.fromkeys(op.operands):
                found.setdefault(value, []).append(op)
        return found

    def __str__(self) -> str:
        return f"func @{self.name}"


@dataclass(frozen=True, slots=True)
class Module:
    """Functions by name."""

    functions: tuple[Function, ...]

    def __iter__(self) -> Iterator[Function]:
        return iter(self.functions)

    def __getitem__(self, name: str) -> Function:
        for function in self.functions:
            if function.name == name:
                return function
        raise KeyError(name)
