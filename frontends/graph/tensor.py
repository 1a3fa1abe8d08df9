"""Tensor: one output of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.operators import Operand
from tensorkiln.frontends.graph.shapes import (
    Sizes,
    TensorShape,
    as_sizes,
    compatible,
    contradiction,
    merge,
    show,
)
from tensorkiln.frontends.graph.stack import get_default_session

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.graph import Graph
    from tensorkiln.frontends.graph.operation import Operation
    from tensorkiln.frontends.graph.session import BaseSession


class Tensor(Operand):
    """Output `value_index` of `op`; it has a dtype and a static shape, never a value."""

    __slots__ = ("_dtype", "_op", "_sizes", "_value_index")

    def __init__(self, op: Operation, value_index: int, dtype: DType, sizes: Sizes) -> None:
        self._op = op
        self._value_index = value_index
        self._dtype = dtype
        self._sizes = sizes

    @property
    def op(self) -> Operation:
        """The operation that makes this tensor."""
        return self._op

    @property
    def value_index(self) -> int:
        """Which output of the operation this is."""
        return self._value_index

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._dtype

    @property
    def graph(self) -> Graph:
        """The graph that holds the operation."""
        return self._op.graph

    @property
    def name(self) -> str:
        """`<operation's name>:<output index>`."""
        return f"{self._op.name}:{self._value_index}"

    @property
    def device(self) -> str:
        """The operation's device string."""
        return self._op.device

    @property
    def sizes(self) -> Sizes:
        """What is known of the shape, as a tuple."""
        return self._sizes

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape."""
        return TensorShape(self._sizes)

    def get_shape(self) -> TensorShape:
        """What is known of the shape."""
        return TensorShape(self._sizes)

    def set_shape(self, shape: object) -> None:
        """Adds knowledge about the shape; ValueError if it contradicts what is known."""
        sizes = as_sizes(shape)
        if not compatible(self._sizes, sizes):
            raise ValueError(contradiction(self._sizes, sizes))
        self._sizes = merge(self._sizes, sizes)

    def consumers(self) -> list[Operation]:
        """The operations that read this tensor, one as often as it reads it."""
        return [op for op in self.graph.get_operations() for read in op.inputs if read is self]

    def eval(
        self, feed_dict: Mapping[object, object] | None = None, session: BaseSession | None = None
    ) -> object:
        """The tensor's value in `session` or the default session; ValueError if there is none."""
        session = session or get_default_session()
        if session is None:
            raise ValueError(
                "Cannot evaluate tensor using `eval()`: No default session is registered. Use "
                "`with sess.as_default()` or pass an explicit session to `eval(session=sess)`"
            )
        if session.graph is not self.graph:
            raise ValueError(
                "Cannot use the default session to evaluate tensor: the tensor's graph is "
                "different from the session's graph. Pass an explicit session to "
                "`eval(session=sess)`."
            )
        return session.run(self, feed_dict)

    def _as_tensor(self, as_ref: bool = False) -> Tensor:
        return self

    def __str__(self) -> str:
        shape = "" if self._sizes is None else f", shape={show(self._sizes)}"
        device = f", device={self.device}" if self.device else ""
        return f'Tensor("{self.name}"{shape}, dtype={self._dtype.name}{device})'

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={show(self._sizes)} dtype={self._dtype.name}>"
