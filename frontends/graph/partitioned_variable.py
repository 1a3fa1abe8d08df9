"""A variable in parts, each a variable of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.initializers import known
from tensorkiln.frontends.graph.operators import Operand
from tensorkiln.frontends.graph.ops_slice import slice_
from tensorkiln.frontends.graph.shapes import TensorShape
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variables import Variable

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.dtypes import DType


@dataclass(frozen=True)
class PartitionInfo:
    """Which box of the whole variable an initializer makes."""

    full_shape: tuple[int, ...]
    var_offset: tuple[int, ...]


class PartitionedVariable(Operand):
    """Variables that hold a tensor in contiguous parts along one dim; the tensor is their concat."""

    def __init__(self, name: str, variables: Sequence[Variable], axis: int) -> None:
        self.name, self._variables, self._axis = name, tuple(variables), axis
        first = variables[0]
        sizes = list(known(first.shape))
        sizes[axis] = sum(known(v.shape)[axis] for v in variables)
        self.shape, self.dtype = TensorShape(sizes), _base(first)

    def __iter__(self) -> Iterator[Variable]:  # type: ignore[override]
        return iter(self._variables)

    def __len__(self) -> int:  # type: ignore[override]
        return len(self._variables)

    def get_shape(self) -> TensorShape:
        """The shape of the whole."""
        return self.shape

    def as_tensor(self) -> Tensor:
        """The whole as a tensor."""
        with get_default_graph().name_scope(None):
            if len(self._variables) == 1:
                return make("Identity", (self._variables[0],), self.name)
            with get_default_graph().name_scope(f"{self.name}/ConcatPartitions/"):
                whole = make("ConcatV2", (list(self._variables), self._axis), "concat")
            return make("Identity", (whole,), self.name)

    def assign(
        self, value: object, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> list[Tensor]:  # fmt: skip
        """Sets every part; one tensor for each."""
        return [part.assign(v, name=name) for part, v in self._parts_of(value)]

    def assign_add(
        self, value: object, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> list[Tensor]:  # fmt: skip
        """Adds to every part; one tensor for each."""
        return [part.assign_add(v, name=name) for part, v in self._parts_of(value)]

    def assign_sub(
        self, value: object, use_locking: bool = False, name: str | None = None,
        read_value: bool = True,
    ) -> list[Tensor]:  # fmt: skip
        """Subtracts from every part; one tensor for each."""
        return [part.assign_sub(v, name=name) for part, v in self._parts_of(value)]

    def _parts_of(self, value: object) -> Iterator[tuple[Variable, Tensor]]:
        start = [0] * len(known(self.shape))
        for part in self._variables:
            sizes = list(known(part.shape))
            yield part, slice_(value, list(start), sizes)
            start[self._axis] += sizes[self._axis]

    def _as_tensor(self, as_ref: bool = False) -> Tensor:
        if as_ref:
            raise TypeError(f"variable {self.name} is in parts: change its parts, list(variable)")
        return self.as_tensor()


def _base(variable: Variable) -> DType:
    return variable.dtype.base_dtype


def part_sizes(
    name: str, shape: tuple[int, ...], parts: Sequence[int]
) -> tuple[int, list[tuple[int, int]]]:
    """The dim that is cut, and the start and size of each part along it.

    The first parts are one larger where the parts cannot be equal.  ValueError unless exactly one
    dim is cut into at most as many parts as it has elements.
    """
    if len(parts) != len(shape):
        raise ValueError(
            f"Partitioner returned a partition list that does not match the Variable's rank: "
            f"{list(parts)} vs. {shape} (variable {name})"
        )
    if any(p < 1 for p in parts):
        raise ValueError(f"Partitioner returned zero partitions for some axes: {list(parts)}")
    cut = [k for k, p in enumerate(parts) if p > 1]
    if len(cut) > 1:
        raise ValueError(
            "Can only slice a variable along one dimension: "
            f"shape: {shape}, partitioning: {list(parts)}"
        )
    axis = cut[0] if cut else 0
    count, whole = parts[axis], shape[axis]
    if count > whole:
        raise ValueError(f"variable {name}: {count} parts of a dim of {whole}")
    each, extra = divmod(whole, count)
    sizes = [each + (k < extra) for k in range(count)]
    return axis, [(sum(sizes[:k]), size) for k, size in enumerate(sizes)]
