"""Control dependencies: which ops must run before the ops made in a `with` block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.operation import Operation
    from tensorkiln.frontends.graph.tensor import Tensor


class _Block:
    """One `with` block: what must run first, and the ops made inside so far."""

    def __init__(self, before: Sequence[Operation]) -> None:
        self.before = before
        self.made: set[Operation] = set()


class ControlDependencies:
    """The open blocks of one graph."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []

    @contextmanager
    def block(self, before: Sequence[Operation] | None) -> Iterator[None]:
        """Ops made inside run after `before`; None leaves all open blocks meanwhile."""
        saved = self._blocks
        self._blocks = [] if before is None else [*saved, _Block(before)]
        try:
            yield
        finally:
            self._blocks = saved

    def of_new_op(self, inputs: Sequence[Tensor]) -> list[Operation]:
        """The control inputs of an op: those of a block are left out where a data input, made
        in that block, has them already."""
        found: dict[Operation, None] = {}
        sources = {tensor.op for tensor in inputs}
        for block in self._blocks:
            if not sources & block.made:
                found.update(dict.fromkeys(op for op in block.before if op not in sources))
        return list(found)

    def record(self, op: Operation) -> None:
        """Notes that `op` was made inside the open blocks."""
        for block in self._blocks:
            block.made.add(op)

    def forget(self, op: Operation) -> None:
        """Takes back `record`."""
        for block in self._blocks:
            block.made.discard(op)
