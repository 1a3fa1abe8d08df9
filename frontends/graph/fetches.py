"""What `Session.run` may be asked for: tensors, operations and names in nested structures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.indexed_slices import IndexedSlices, IndexedSlicesValue
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.regions import is_inside
from tensorkiln.frontends.graph.session_handles import TensorHandle
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor, SparseTensorValue
from tensorkiln.frontends.graph.tensor import Tensor

Rebuild: TypeAlias = Callable[[Sequence[object]], object]


class Fetches:
    """A fetch structure, flattened: the tensors and operations to run, each once.

    `rebuild(values)` puts the tensors' values into the structure, None for operations.
    """

    def __init__(self, graph: Graph, structure: object) -> None:
        self.tensors: list[Tensor] = []
        self.targets: list[Operation] = []
        self._graph = graph
        self._places: dict[Tensor, int] = {}
        self.rebuild = self._visit(structure)

    def _visit(self, item: object) -> Rebuild:
        if isinstance(item, Mapping):
            keys, parts = list(item), [self._visit(value) for value in item.values()]
            kind: Callable[..., object] = type(item)
            if isinstance(item, defaultdict):
                kind = partial(kind, item.default_factory)
            return lambda values: kind(
                (key, part(values)) for key, part in zip(keys, parts, strict=True)
            )
        fields = _fields(item)
        if fields is not None:
            parts = [self._visit(getattr(item, name)) for name in fields]
            make: Callable[..., object] = type(item)
            return lambda values: make(*[part(values) for part in parts])
        if isinstance(item, IndexedSlices):
            if item.dense_shape is None:
                rows, places = self._visit(item.values), self._visit(item.indices)
                return lambda values: IndexedSlicesValue(rows(values), places(values), None)
            return self._visit(IndexedSlicesValue(item.values, item.indices, item.dense_shape))
        if isinstance(item, SparseTensor):
            return self._visit(SparseTensorValue(item.indices, item.values, item.dense_shape))
        if isinstance(item, list | tuple):
            return self._sequence(item)
        element = self._element(item)
        if isinstance(element, Operation):
            if element not in self.targets:
                self.targets.append(element)
            return lambda values: None
        place = self._places.setdefault(element, len(self.tensors))
        if place == len(self.tensors):
            self.tensors.append(element)
        if element.op.type == "GetSessionHandleV2":
            dtype = element.op.inputs[0].dtype.base_dtype
            return lambda values: TensorHandle(np.asarray(values[place]).item().decode(), dtype)
        return lambda values: values[place]

    def _sequence(self, items: list[object] | tuple[object, ...]) -> Rebuild:
        parts = [self._visit(item) for item in items]
        if isinstance(items, tuple):
            return lambda values: tuple(part(values) for part in parts)
        return lambda values: [part(values) for part in parts]

    def _element(self, item: object) -> Tensor | Operation:
        element = self._any_element(item)
        op = element.op if isinstance(element, Tensor) else element
        if not self._graph.is_fetchable(op):
            raise ValueError(f"Operation {op.name!r} has been marked as not fetchable.")
        if is_inside(op):
            raise ValueError(
                f"Operation {op.name!r} has been marked as not fetchable: it runs inside of a loop "
                "or branch. Fetch what tf.while_loop or tf.cond returns."
            )
        return element

    def _any_element(self, item: object) -> Tensor | Operation:
        if item is None:
            raise TypeError(f"Fetch argument None has invalid type {type(None)!r}")
        try:
            return self._graph.as_graph_element(item)
        except TypeError as error:
            raise TypeError(
                f"Fetch argument {item!r} has invalid type {type(item)!r}, must be a string or "
                f"Tensor. ({error})"
            ) from None
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"Fetch argument {item!r} cannot be interpreted as a Tensor. ({error})"
            ) from None


def _fields(item: object) -> Sequence[str] | None:
    """The names of a named tuple's or attrs object's fields, in order; None for others."""
    if isinstance(item, tuple):
        return getattr(item, "_fields", None)
    attributes = getattr(type(item), "__attrs_attrs__", None)
    return None if attributes is None else [attribute.name for attribute in attributes]


def fetch_key(item: object) -> Hashable:
    """A key that is equal for equal structures of the same elements."""
    if isinstance(item, Mapping):
        return (type(item), tuple(item), tuple(fetch_key(value) for value in item.values()))
    if isinstance(item, list | tuple):
        return (type(item), *(fetch_key(value) for value in item))
    return item if isinstance(item, Hashable) else (type(item), id(item))
