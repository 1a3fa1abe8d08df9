"""How a tensor's logical index becomes a place in memory.

A layout never changes what a function means: shapes stay logical, and only loads, stores and the
order of loops see it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorkiln.compiler.kernel import index as ix
from tensorkiln.compiler.kernel.expr import Expr, Index


@dataclass(frozen=True, slots=True)
class Layout:
    """Dims in the order of memory, outermost first, the last ones perhaps split into blocks.

    `order` lists the logical dims; `blocks` are (logical dim, size) pairs, outermost first, whose
    inner parts lie behind all of `order`.  NCHW16c is order (0, 1, 2, 3), blocks ((1, 16),).  A
    blocked dim whose size is not a multiple of the block is padded; the padding is never read as
    data.
    """

    order: tuple[int, ...]
    blocks: tuple[tuple[int, int], ...] = ()

    def physical_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The row-major shape of the buffer of a tensor of `shape`."""
        sizes = dict(self.blocks)
        outer = tuple(-(-shape[d] // sizes.get(d, 1)) for d in self.order)
        return outer + tuple(size for _, size in self.blocks)

    def physical_index(self, index: Index) -> Index:
        """Where the element at the logical `index` lies."""
        sizes = dict(self.blocks)
        outer = tuple(ix.floordiv(index[d], sizes.get(d, 1)) for d in self.order)
        return outer + tuple(ix.mod(index[d], size) for d, size in self.blocks)

    def logical_index(self, physical: Index) -> Index:
        """The logical index of a place in memory (of padding: one outside of the shape)."""
        sizes = dict(self.blocks)
        rank = len(self.order)
        logical: list[Expr] = [ix.ZERO] * rank
        for position, dim in enumerate(self.order):
            logical[dim] = ix.mul(physical[position], sizes.get(dim, 1))
        for position, (dim, _) in enumerate(self.blocks):
            logical[dim] = ix.add(logical[dim], physical[rank + position])
        return tuple(logical)

    @property
    def is_row_major(self) -> bool:
        """True if memory order is the logical order."""
        return self.order == tuple(range(len(self.order))) and not self.blocks

    def __str__(self) -> str:
        blocks = "".join(f":{dim}b{size}" for dim, size in self.blocks)
        return "".join(map(str, self.order)) + blocks


def row_major(rank: int) -> Layout:
    """The layout in which memory order is the logical order."""
    return Layout(tuple(range(rank)))
