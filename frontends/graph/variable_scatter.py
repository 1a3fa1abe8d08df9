"""What variables offer for changing some of their rows."""

from __future__ import annotations

from tensorkiln.frontends.graph.indexed_slices import IndexedSlices
from tensorkiln.frontends.graph.ops_gather import gather, gather_nd
from tensorkiln.frontends.graph.ops_scatter import (
    VariableScatter,
    scatter_add,
    scatter_div,
    scatter_max,
    scatter_min,
    scatter_mul,
    scatter_nd_add,
    scatter_nd_sub,
    scatter_nd_update,
    scatter_sub,
    scatter_update,
)
from tensorkiln.frontends.graph.tensor import Tensor


class Scattering:
    """Methods of variables that read and change rows and slices at indices."""

    def scatter_add(
        self, sparse_delta: object, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Adds IndexedSlices to the variable's rows."""
        return self._by_slices(scatter_add, sparse_delta, name)

    def scatter_sub(
        self, sparse_delta: object, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Subtracts IndexedSlices from the variable's rows."""
        return self._by_slices(scatter_sub, sparse_delta, name)

    def scatter_mul(
        self, sparse_delta: object, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Multiplies the variable's rows by IndexedSlices."""
        return self._by_slices(scatter_mul, sparse_delta, name)

    def scatter_div(
        self, sparse_delta: object, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Divides the variable's rows by IndexedSlices."""
        return self._by_slices(scatter_div, sparse_delta, name)

    def scatter_min(
        self, sparse_delta: object, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Lowers the variable's rows to IndexedSlices."""
        return self._by_slices(scatter_min, sparse_delta, name)

    def scatter_max(
        self, sparse_delta: object, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Raises the variable's rows to IndexedSlices."""
        return self._by_slices(scatter_max, sparse_delta, name)

    def scatter_update(
        self, sparse_delta: object, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Replaces the variable's rows by IndexedSlices."""
        return self._by_slices(scatter_update, sparse_delta, name)

    def scatter_nd_add(self, indices: object, updates: object, name: str | None = None) -> Tensor:
        """Adds to slices of the variable at index tuples."""
        return scatter_nd_add(self, indices, updates, name=name)

    def scatter_nd_sub(self, indices: object, updates: object, name: str | None = None) -> Tensor:
        """Subtracts from slices of the variable at index tuples."""
        return scatter_nd_sub(self, indices, updates, name=name)

    def scatter_nd_update(
        self, indices: object, updates: object, name: str | None = None
    ) -> Tensor:
        """Replaces slices of the variable at index tuples."""
        return scatter_nd_update(self, indices, updates, name=name)

    def sparse_read(self, indices: object, name: str | None = None) -> Tensor:
        """The variable's rows at indices."""
        return gather(self, indices, name=name)

    def gather_nd(self, indices: object, name: str | None = None) -> Tensor:
        """The slices of the variable at index tuples."""
        return gather_nd(self, indices, name=name)

    def _by_slices(self, change: VariableScatter, slices: object, name: str | None) -> Tensor:
        if not isinstance(slices, IndexedSlices):
            raise TypeError(f"sparse_delta is not IndexedSlices: {slices}")
        return change(self, slices.indices, slices.values, name=name)
