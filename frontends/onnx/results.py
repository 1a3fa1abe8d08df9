"""From a graph's outputs to results of the function, and from a run's results back to outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from onnx import GraphProto, TypeProto, ValueInfoProto

from tensorkiln.compiler.ir.function import Array, Function, Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.frontends.onnx.elements import dtype_of_element, type_string
from tensorkiln.frontends.onnx.operand import Entry, Items, Maybe, Operand
from tensorkiln.runtime.errors import ModelError, UnsupportedError


@dataclass(frozen=True, slots=True)
class TensorOutput:
    """Result number `place`, of which along `axis` result number `size` says how much is meant."""

    place: int
    axis: int = 0
    size: int | None = None

    def of(self, arrays: Sequence[Array]) -> Array:
        """The output in the size that it has."""
        array = np.asarray(arrays[self.place])
        if self.size is None:
            return array
        return array[(slice(None),) * self.axis + (slice(int(arrays[self.size])),)]


Output: TypeAlias = TensorOutput | tuple[TensorOutput, ...] | None


@dataclass(frozen=True, slots=True)
class Imported:
    """A model as a function, and what its outputs are in the function's results.

    An output is a tensor, a sequence of tensors, or (None) an optional that holds nothing.
    """

    function: Function
    outputs: tuple[Output, ...]

    def assemble(self, arrays: Sequence[Array]) -> list[Array | list[Array] | None]:
        """The model's outputs from the results of a run."""
        return [
            [item.of(arrays) for item in output]
            if isinstance(output, tuple)
            else None
            if output is None
            else output.of(arrays)
            for output in self.outputs
        ]


def size_name(output: str, axis: int) -> str:
    """The name of the result that holds how much of `output` is meant along `axis`."""
    return f"{output}.size.{axis}"


def item_name(name: str, place: int) -> str:
    """The name of a tensor of the sequence `name`."""
    return f"{name}.{place}"


class _Collector:
    """Results in the order in which a function returns them."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.values: list[Value] = []
        self.names: list[str] = []
        self._sizes: list[tuple[str, Value]] = []

    def add(self, name: str, entry: Entry) -> Output:
        if isinstance(entry, Maybe):
            return None if entry.content is None else self.add(name, entry.content)
        if isinstance(entry, Items):
            places = enumerate(entry.items)
            return tuple(self._tensor(item_name(name, k), item) for k, item in places)
        return self._tensor(name, entry)

    def _tensor(self, name: str, operand: Operand) -> TensorOutput:
        self.values.append(operand.value(self.builder))
        self.names.append(name)
        place, extent = len(self.values) - 1, operand.extent
        if extent is None:
            return TensorOutput(place)
        self._sizes.append((size_name(name, extent.axis), extent.number))
        return TensorOutput(place, extent.axis, -len(self._sizes))

    def finish(self, outputs: Sequence[Output]) -> Imported:
        """Sizes come after all outputs."""
        first = len(self.values)
        self.values += [value for _, value in self._sizes]
        self.names += [name for name, _ in self._sizes]
        for name in self.names:
            if self.names.count(name) > 1:
                raise ModelError(
                    f"two results are to be named {name!r}, of which one is an output's part or size"
                )
        function = self.builder.finish(self.values, self.names)
        return Imported(function, tuple(_placed(output, first) for output in outputs))


def _placed(output: Output, first: int) -> Output:
    """Sizes were numbered -1, -2, ...; they are results `first`, `first + 1`, ..."""
    if isinstance(output, tuple):
        return tuple(_one_placed(item, first) for item in output)
    return output and _one_placed(output, first)


def _one_placed(output: TensorOutput, first: int) -> TensorOutput:
    if output.size is None:
        return output
    return TensorOutput(output.place, output.axis, first - 1 - output.size)


def finish(builder: Builder, graph: GraphProto, results: Sequence[Entry]) -> Imported:
    """The function that returns the graph's outputs.

    ModelError where an output's declared dtype is not the one its nodes give.  Declared shapes are
    hints that exporters often get wrong once a dim is replaced, so they are not compared.
    """
    collector = _Collector(builder)
    outputs = []
    for declared, found in zip(graph.output, results, strict=True):
        _check(declared, found)
        outputs.append(collector.add(str(declared.name), found))
    return collector.finish(outputs)


def _check(declared: ValueInfoProto, found: Entry) -> None:
    what = f"output {declared.name!r}"
    kind = _declared_kind(declared.type, what)
    if kind and kind != found.kind:
        raise ModelError(f"{what} is declared {kind}, and its nodes make {found.kind}")


def _declared_kind(declared: TypeProto, what: str) -> str:
    """The declared type as schemas spell it; empty where nothing is declared."""
    kind = declared.WhichOneof("value")
    if kind is None or (kind == "tensor_type" and not declared.tensor_type.elem_type):
        return ""
    if kind == "tensor_type":
        return type_string(dtype_of_element(declared.tensor_type.elem_type, what))
    if kind == "sequence_type":
        inner = _declared_kind(declared.sequence_type.elem_type, what)
        return inner and f"seq({inner})"
    if kind == "optional_type":
        inner = _declared_kind(declared.optional_type.elem_type, what)
        return inner and f"optional({inner})"
    raise UnsupportedError(f"{what} is a {kind.removesuffix('_type')}, not a tensor")
