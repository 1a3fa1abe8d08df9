"""The dimension numbers that gather and scatter share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tensorkiln.compiler.ir.dims import Dim
from tensorkiln.compiler.ir.function import Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.checks import are_axes, ints, optional_ints, require, require_index

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IndexMap:
    """What indices say of an operand's dims.

    Entry k of an index vector, which lies along `vector` of the indices, is the start in dim
    `mapped[k]` of the operand; dim `batching[k]` of the operand goes with `partners[k]` of the
    indices.
    """

    mapped: tuple[int, ...]
    vector: int
    batching: tuple[int, ...]
    partners: tuple[int, ...]

    def batch_position(self, axis: int) -> int:
        """Where dim `batching[k]` of the operand stands among the indices' dims without `vector`."""
        partner = self.partners[self.batching.index(axis)]
        return partner - (partner > self.vector)


def gather_map(attributes: Attributes) -> IndexMap:
    """The index map of a gather."""
    vector = attributes["index_vector_dim"]
    assert isinstance(vector, int)
    return IndexMap(
        ints(attributes, "start_index_map"),
        vector,
        optional_ints(attributes, "operand_batching_dims"),
        optional_ints(attributes, "start_indices_batching_dims"),
    )


def check_map(x: TensorType, indices: TensorType, index_map: IndexMap) -> None:
    """C1: indices are i32 or i64.  C2: index_vector_dim is a dim of the indices or their rank (then
    the indices are scalars).  C3: an index vector has an entry for each mapped dim; mapped and
    batching dims are different dims of the operand.  C9: the batching dims of the indices are as
    many, different, not the one of the vectors, and as large as their partners."""
    vector, partners = index_map.vector, index_map.partners
    require_index(indices, "the index tensor", "C1")
    require(0 <= vector <= indices.rank, f"C2: index_vector_dim {vector} for indices {indices}")
    length = 1 if vector == indices.rank else indices.shape[vector]
    axes = (*index_map.mapped, *index_map.batching)
    matches = length == len(index_map.mapped) and are_axes(axes, x.rank)
    text = f"C3: indices {indices} with vectors along {vector} for dims {index_map.mapped}"
    require(matches, text + (f" beside {index_map.batching}" if index_map.batching else ""))
    paired = len(partners) == len(index_map.batching) and are_axes(partners, indices.rank)
    paired = paired and vector not in partners
    paired = paired and all(
        x.shape[k] == indices.shape[n] for k, n in zip(index_map.batching, partners, strict=True)
    )
    require(paired, f"C9: batching dims {index_map.batching} of {x} for {partners} of {indices}")


def batch_shape(indices: TensorType, vector: int) -> tuple[Dim, ...]:
    """The dims of the indices but for the one along which a vector lies."""
    return tuple(dim for k, dim in enumerate(indices.shape) if k != vector)


def place_dims(
    batch: Sequence[T], window: Sequence[T], window_dims: Sequence[int]
) -> tuple[T, ...]:
    """What belongs to each dim where `window_dims` are the window's and the others the batch's."""
    outer, inner = iter(batch), iter(window)
    rank = len(batch) + len(window)
    return tuple(next(inner) if k in window_dims else next(outer) for k in range(rank))


def scatter_map(attributes: Attributes) -> IndexMap:
    """The index map of a scatter."""
    vector = attributes["index_vector_dim"]
    assert isinstance(vector, int)
    return IndexMap(
        ints(attributes, "scatter_dims_to_operand_dims"),
        vector,
        optional_ints(attributes, "input_batching_dims"),
        optional_ints(attributes, "scatter_indices_batching_dims"),
    )


def window_sizes(op: Op) -> tuple[int, ...]:
    """The window's size along each dim of the operand."""
    shape = op.operands[2].shape
    inserted = (*op.ints("inserted_window_dims"), *scatter_map(op.attributes).batching)
    kept = iter(shape[k] for k in op.ints("update_window_dims"))
    return tuple(1 if axis in inserted else next(kept) for axis in range(op.result.type.rank))
