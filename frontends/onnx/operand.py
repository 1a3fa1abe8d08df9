"""What flows between nodes: tensors, sequences of tensors, and optionals.

A sequence is a list of tensors and an optional one thing or nothing, both while importing only: of
a sequence's length, and of whether an optional holds something, no run decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from tensorkiln.compiler.ir.dtypes import DType, dtype_of
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.frontends.onnx.elements import type_string
from tensorkiln.runtime.errors import UnsupportedError

Entry: TypeAlias = "Operand | Items | Maybe"
Result: TypeAlias = "Value | Array | Bounded | Entry"
Results: TypeAlias = "Result | Sequence[Result]"


def as_sequence(results: Results) -> Sequence[Result]:
    """What a lowering gave, one result or several, as a sequence of results."""
    if isinstance(results, Sequence) and not isinstance(results, Bounded):
        return results
    return (results,)


class ConstantNeeded(UnsupportedError):
    """An operand must be known while importing, and it depends on the model's inputs.

    `inputs` are the names of the inputs that would have to be constants.
    """

    def __init__(self, message: str, inputs: frozenset[str]) -> None:
        super().__init__(message)
        self.inputs = inputs


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a padded tensor is meant: the first `number` (i64 scalar) entries along `axis`.

    What the others hold is open, but they are always there to be computed with.
    """

    axis: int
    number: Value


class Bounded(NamedTuple):
    """A result whose size only a run knows, padded to a bound."""

    value: Value
    extent: Extent


class Operand:
    """A tensor of the model: known while importing, or a value of the function being built.

    What is known becomes a constant only when a lowering asks for its value, so that shape
    arithmetic leaves no trace.  `inputs` are the model's inputs that it depends on; `extent` says
    what is meant of a value whose size only a run knows.
    """

    def __init__(
        self,
        name: str,
        known: Array | None = None,
        value: Value | None = None,
        inputs: frozenset[str] = frozenset(),
        extent: Extent | None = None,
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.extent = extent
        self.known = known
        self._value = value
        if value is not None:
            self.type = value.type
        elif known is not None:
            self.type = TensorType(tuple(known.shape), dtype_of(known.dtype))
        else:
            raise ValueError(f"operand {name!r} has neither an array nor a value")

    @property
    def shape(self) -> tuple[int, ...]:
        """The static shape."""
        return self.type.sizes

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.type.dtype

    @property
    def kind(self) -> str:
        """The type as operator schemas spell it: `tensor(float)`."""
        return type_string(self.dtype)

    def value(self, builder: Builder) -> Value:
        """The value; what is known becomes a constant, once."""
        if self._value is None:
            assert self.known is not None
            self._value = constant(builder, self.known)
        return self._value

    def detached(self) -> Operand:
        """The same known tensor, to be used with another builder."""
        return Operand(self.name, self.known)


class Items:
    """A sequence of tensors of one dtype."""

    def __init__(self, name: str, items: Sequence[Operand], dtype: DType) -> None:
        self.name = name
        self.items = tuple(items)
        self.dtype = dtype

    @property
    def kind(self) -> str:
        """The type as operator schemas spell it: `seq(tensor(float))`."""
        return f"seq({type_string(self.dtype)})"

    @property
    def inputs(self) -> frozenset[str]:
        """The model's inputs that the items depend on."""
        return inputs_of(self.items)


class Maybe:
    """An optional: something, or nothing of type `inner` (spelt as schemas do)."""

    def __init__(self, name: str, content: Operand | Items | None, inner: str) -> None:
        self.name = name
        self.content = content
        self.inner = inner

    @property
    def kind(self) -> str:
        """The type as operator schemas spell it: `optional(tensor(float))`."""
        return f"optional({self.inner})"

    @property
    def inputs(self) -> frozenset[str]:
        """The model's inputs that the content depends on."""
        return frozenset() if self.content is None else self.content.inputs


def inputs_of(entries: Sequence[Entry | None]) -> frozenset[str]:
    """The model's inputs that any of them depends on."""
    return frozenset().union(*(entry.inputs for entry in entries if entry is not None))


def leaves(entry: Entry | None) -> tuple[Operand, ...]:
    """The tensors in it, in order."""
    if isinstance(entry, Maybe):
        return leaves(entry.content)
    if isinstance(entry, Items):
        return entry.items
    return () if entry is None else (entry,)


def rebuilt(entry: Entry, parts: Iterator[Operand]) -> Entry:
    """The same structure around other tensors."""
    if isinstance(entry, Operand):
        return next(parts)
    if isinstance(entry, Items):
        return Items(entry.name, [next(parts) for _ in entry.items], entry.dtype)
    if entry.content is None:
        return entry
    content = rebuilt(entry.content, parts)
    assert not isinstance(content, Maybe)
    return Maybe(entry.name, content, entry.inner)


def signature(entry: Entry) -> str:
    """Its type with all shapes, to be compared and shown."""
    if isinstance(entry, Operand):
        return str(entry.type)
    if isinstance(entry, Items):
        return f"{entry.kind}[{', '.join(str(item.type) for item in entry.items)}]"
    return f"optional({entry.inner if entry.content is None else signature(entry.content)})"


def constant(builder: Builder, array: Array) -> Value:
    """A constant that keeps the array itself where `Builder.constant` would copy it."""
    if array.ndim == 0:
        return builder.constant(array)
    if array.flags.writeable:
        array = array.view()
        array.setflags(write=False)
    return builder.one("constant", value=array)
