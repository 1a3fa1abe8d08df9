"""Python functions for op types of one and two inputs."""

from __future__ import annotations

from typing import Protocol

from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.tensor import Tensor


class UnaryFunction(Protocol):
    """A function of one tensor."""

    def __call__(self, x: object, name: str | None = None) -> Tensor:
        """The tensor that the op makes."""
        ...


class BinaryFunction(Protocol):
    """A function of two tensors."""

    def __call__(self, x: object, y: object, name: str | None = None) -> Tensor:
        """The tensor that the op makes."""
        ...


def unary_function(kind: str, meaning: str, op_name: str | None = None) -> UnaryFunction:
    """The function that makes an op of type `kind`, named `op_name` unless the caller says."""

    def function(x: object, name: str | None = None) -> Tensor:
        return make(kind, (x,), name or op_name)

    function.__doc__, function.__name__ = meaning, kind.lower()
    return function


def binary_function(kind: str, meaning: str, op_name: str | None = None) -> BinaryFunction:
    """The function that makes an op of type `kind`, named `op_name` unless the caller says."""

    def function(x: object, y: object, name: str | None = None) -> Tensor:
        return make(kind, (x, y), name or op_name)

    function.__doc__, function.__name__ = meaning, kind.lower()
    return function


def scoped_function(kind: str, scope: str, meaning: str) -> UnaryFunction:
    """As `unary_function`, the op made in a scope of its own, which the caller may name."""

    def function(x: object, name: str | None = None) -> Tensor:
        with graph_of([x]).name_scope(name or scope):
            return make(kind, (x,))

    function.__doc__, function.__name__ = meaning, scope
    return function


def scoped_binary_function(kind: str, scope: str, meaning: str) -> BinaryFunction:
    """As `binary_function`, the op made in a scope of its own, which the caller may name."""

    def function(x: object, y: object, name: str | None = None) -> Tensor:
        with graph_of([x, y]).name_scope(name or scope):
            return make(kind, (x, y))

    function.__doc__, function.__name__ = meaning, scope
    return function
