"""Operation: one node of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tensorkiln.compiler.ir.function import Location
from tensorkiln.frontends.graph.files import export_graph
from tensorkiln.frontends.graph.files.attributes import attribute_as_read
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.kinds import OpKind
from tensorkiln.frontends.graph.shapes import ShapeError, brackets
from tensorkiln.frontends.graph.stack import get_default_session
from tensorkiln.frontends.graph.tensor import Tensor

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.graph import Graph
    from tensorkiln.frontends.graph.session import BaseSession


class Operation:
    """A node: its type, attributes, data inputs, control inputs and outputs.

    `location` is the user's file and line; `number` counts the graph's operations from 1.
    """

    def __init__(
        self,
        graph: Graph,
        kind: OpKind,
        name: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, object],
        control_inputs: Sequence[Operation],
        device: str,
        location: Location,
        number: int,
    ) -> None:
        self.graph = graph
        self.kind = kind
        self.name = name
        self.inputs = tuple(inputs)
        self.attributes = dict(attributes)
        self.control_inputs = list(control_inputs)
        self.device = device
        self.location = location
        self.number = number
        self.outputs: list[Tensor] = []
        try:
            results = kind.infer(self)
        except ShapeError as error:
            shapes = ", ".join(brackets(tensor.sizes) for tensor in inputs)
            raise ValueError(
                f"{error} for '{name}' (op: '{kind.name}') with input shapes: {shapes}."
            ) from None
        self.outputs = [
            Tensor(self, index, dtype, sizes) for index, (dtype, sizes) in enumerate(results)
        ]

    @property
    def type(self) -> str:
        """The op type, such as `MatMul`."""
        return self.kind.name

    @property
    def node_def(self) -> Proto:
        """The operation as a NodeDef message."""
        return export_graph.node_def(self)

    @property
    def op_def(self) -> Proto:
        """What is known of all operations of this type, an OpDef message."""
        return export_graph.op_def(self)

    def colocation_groups(self) -> list[bytes]:
        """The groups of operations that are to be on one device."""
        own = self.node_def.attr
        return list(own["_class"].list.s) if "_class" in own else [b"loc:@" + self.name.encode()]

    @property
    def node_text(self) -> str:
        """How an error of a run ends: name, file and line, in TensorFlow 1.15's words."""
        place = self.location
        where = f" (defined at {place.file}:{place.line}) " if place.file else ""
        return f"[[node {self.name}{where}]]"

    @property
    def traceback(self) -> list[tuple[str, int, str, str]]:
        """Where the user's program made this operation: file, line, function, text."""
        return [(self.location.file, self.location.line, "", "")]

    def get_attr(self, name: str) -> object:
        """The attribute `name` as TensorFlow gives it: texts as bytes, shapes and tensors as
        messages, types as DTypes; ValueError if the operation has none of that name."""
        definition = self.node_def
        if name in definition.attr:
            return attribute_as_read(definition.attr[name])
        if name not in self.attributes:
            raise ValueError(f"Operation '{self.name}' has no attr named '{name}'.")
        return self.attributes[name]

    def integer(self, name: str) -> int:
        """The attribute `name`, an integer."""
        value = self.attributes[name]
        assert isinstance(value, int)
        return value

    def flag(self, name: str) -> bool:
        """The attribute `name`, a bool."""
        return bool(self.attributes.get(name, False))

    def text(self, name: str) -> str:
        """The attribute `name`, a string."""
        return str(self.attributes[name])

    def integers(self, name: str) -> tuple[int, ...]:
        """The attribute `name`, a tuple of integers."""
        value = self.attributes[name]
        assert isinstance(value, tuple | list)
        return tuple(int(item) for item in value)

    def values(self) -> tuple[Tensor, ...]:
        """The outputs."""
        return tuple(self.outputs)

    def run(
        self, feed_dict: Mapping[object, object] | None = None, session: BaseSession | None = None
    ) -> None:
        """Runs the operation in `session` or the default session; ValueError if there is none."""
        session = session or get_default_session()
        if session is None:
            raise ValueError(
                "Cannot execute operation using `run()`: No default session is registered. Use "
                "`with sess.as_default():` or pass an explicit session to `run(session=sess)`"
            )
        if session.graph is not self.graph:
            raise ValueError(
                "Cannot use the default session to execute operation: the operation's graph is "
                "different from the session's graph. Pass an explicit session to "
                "run(session=sess)."
            )
        session.run(self, feed_dict)

    def __str__(self) -> str:
        return str(self.node_def)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"
