"""What a lowering sees of one node: operands, attributes, results asked for, and a builder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TypeProto
from onnx.defs import OpSchema

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.frontends.onnx.elements import dtype_of_element
from tensorkiln.frontends.onnx.operand import (
    ConstantNeeded,
    Entry,
    Items,
    Operand,
    Results,
    inputs_of,
    leaves,
)
from tensorkiln.frontends.onnx.structure import describe
from tensorkiln.frontends.onnx.tensors import array_of
from tensorkiln.runtime.errors import ModelError, UnsupportedError

MAXIMUM_LENGTH = 1 << 26

Inline: TypeAlias = "Callable[[GraphProto, Sequence[Entry]], list[Entry]]"
Region: TypeAlias = (
    "Callable[[GraphProto, Builder, Sequence[Entry]], tuple[list[Entry], list[Value]]]"
)
Lower: TypeAlias = "Callable[[Node], Results]"


@dataclass(frozen=True, slots=True)
class Node:
    """One node being lowered.

    `version` is the opset version of the node's domain.  `inline(graph, inputs)` imports a
    subgraph in place and gives its results; `region(graph, builder, inputs)` imports it into
    another builder and also gives the values around it that it reads, for which the builder has
    got parameters, in that order.
    """

    proto: NodeProto
    version: int
    schema: OpSchema | None
    builder: Builder
    operands: tuple[Entry | None, ...]
    folder: Path | None = None
    inline: Inline | None = None
    region: Region | None = None
    _attributes: dict[str, AttributeProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._attributes.update((a.name, a) for a in self.proto.attribute)

    def __str__(self) -> str:
        return describe(self.proto)

    # Operands

    def has(self, index: int) -> bool:
        """True if operand `index` is given (an optional operand may be absent)."""
        return index < len(self.operands) and self.operands[index] is not None

    def entry(self, index: int) -> Entry:
        """Operand `index`, whatever it is, which must be given."""
        found = self.operands[index] if index < len(self.operands) else None
        if found is None:
            raise ModelError(f"{self} lacks its input {self._input_name(index)}")
        return found

    def operand(self, index: int) -> Operand:
        """Operand `index`, a tensor, which must be given."""
        found = self.entry(index)
        if not isinstance(found, Operand):
            raise self._other(index, found, "a tensor")
        return found

    def items(self, index: int) -> Items:
        """Operand `index`, a sequence, which must be given."""
        found = self.entry(index)
        if not isinstance(found, Items):
            raise self._other(index, found, "a sequence")
        return found

    def derived(self, value: Value, name: str = "") -> Operand:
        """`value`, made of the operands, as a tensor of a sequence."""
        return Operand(name, value=value, inputs=inputs_of(self.operands))

    def _other(self, index: int, found: Entry, wanted: str) -> ModelError:
        name = self._input_name(index)
        return ModelError(
            f"{self}: its input {name} ({found.name!r}) is {found.kind}, not {wanted}"
        )

    @property
    def tensors(self) -> list[Operand]:
        """All tensors that it is given, those in sequences included."""
        return [leaf for entry in self.operands for leaf in leaves(entry)]

    def value(self, index: int = 0) -> Value:
        """The value of operand `index`."""
        return self.operand(index).value(self.builder)

    def values(self) -> list[Value]:
        """All operands of a variadic op."""
        return [self.value(k) for k in range(len(self.operands))]

    def known(self, index: int) -> Array:
        """Operand `index` as an array; ConstantNeeded where it depends on the model's inputs."""
        operand = self.operand(index)
        if operand.known is None:
            names = sorted(operand.inputs)
            example = ", ".join(f"{name!r}: array" for name in names)
            raise ConstantNeeded(
                f"{self} needs its input {self._input_name(index)} ({operand.name!r}) to be "
                f"constant, and it depends on the model's input {', '.join(map(repr, names))}: "
                f"give its value, as in constants={{{example}}}",
                operand.inputs,
            )
        return operand.known

    def known_ints(self, index: int) -> tuple[int, ...]:
        """Operand `index`, a known integer vector or scalar, as integers."""
        return tuple(int(v) for v in np.asarray(self.known(index)).reshape(-1))

    def wants(self, index: int) -> bool:
        """True if result `index` is named, so that someone may read it."""
        return index < len(self.proto.output) and bool(self.proto.output[index])

    def _input_name(self, index: int) -> str:
        if self.schema is None or not self.schema.inputs:
            return str(index)
        return str(self.schema.inputs[min(index, len(self.schema.inputs) - 1)].name)

    # Attributes

    def given(self, name: str) -> bool:
        """True if the node has the attribute."""
        return name in self._attributes

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer attribute: the node's, else `default`, else the schema's default."""
        found = self._attribute(name, AttributeProto.INT, default is None)
        return int(found.i) if found is not None else int(default or 0)

    def number(self, name: str, default: float | None = None) -> float:
        """A float attribute."""
        found = self._attribute(name, AttributeProto.FLOAT, default is None)
        return float(found.f) if found is not None else float(default or 0)

    def string(self, name: str, default: str | None = None) -> str:
        """A string attribute."""
        found = self._attribute(name, AttributeProto.STRING, default is None)
        return found.s.decode("utf-8", "replace") if found is not None else str(default)

    def integers(self, name: str, default: Sequence[int] | None = None) -> tuple[int, ...]:
        """An attribute of integers."""
        found = self._attribute(name, AttributeProto.INTS, default is None)
        return tuple(int(v) for v in (found.ints if found is not None else default or ()))

    def numbers(self, name: str, default: Sequence[float] | None = None) -> tuple[float, ...]:
        """An attribute of floats."""
        found = self._attribute(name, AttributeProto.FLOATS, default is None)
        return tuple(float(v) for v in (found.floats if found is not None else default or ()))

    def strings(self, name: str) -> list[str]:
        """An attribute of strings, which must be given."""
        found = self._attribute(name, AttributeProto.STRINGS, True)
        assert found is not None
        return [text.decode("utf-8", "replace") for text in found.strings]

    def tensor(self, name: str) -> Array:
        """A tensor attribute."""
        found = self._attribute(name, AttributeProto.TENSOR, True)
        assert found is not None
        return array_of(found.t, self.folder, f"attribute {name} of {self}")

    def graph(self, name: str) -> GraphProto:
        """A graph attribute."""
        found = self._attribute(name, AttributeProto.GRAPH, True)
        assert found is not None
        return found.g

    def type_proto(self, name: str) -> TypeProto:
        """A type attribute."""
        found = self._attribute(name, AttributeProto.TYPE_PROTO, True)
        assert found is not None
        return found.tp

    def dtype(self, name: str, default: DType | None = None) -> DType:
        """An attribute that holds an element type."""
        if default is not None and not self.given(name):
            return default
        return dtype_of_element(self.integer(name), f"attribute {name} of {self}")

    def _attribute(self, name: str, kind: int, required: bool) -> AttributeProto | None:
        found = self._attributes.get(name)
        if found is None and required and self.schema is not None:
            declared = self.schema.attributes.get(name)
            # A declared attribute without default has a default value of type UNDEFINED.
            if declared is not None and declared.default_value.type:
                found = declared.default_value
        if found is None and required:
            raise ModelError(f"{self} lacks its attribute {name}")
        if found is not None and found.type != kind:
            kinds = AttributeProto.AttributeType
            raise ModelError(
                f"{self}: attribute {name} is of kind {kinds.Name(found.type)}, "
                f"not {kinds.Name(AttributeProto.AttributeType.ValueType(kind))}"
            )
        return found

    # Errors

    def limited(self, count: int, what: str) -> int:
        """`count`, which the importer is about to make an array or list of; ModelError if absurd."""
        if count > MAXIMUM_LENGTH:
            raise self.invalid(f"{count} {what} are more than any model needs")
        return count

    def invalid(self, reason: str) -> ModelError:
        """The error for a node that breaks the operator's definition."""
        return ModelError(f"{self}: {reason}")

    def unsupported(self, reason: str) -> UnsupportedError:
        """The error for a node that is valid and cannot be compiled."""
        return UnsupportedError(f"{self}: {reason}")
