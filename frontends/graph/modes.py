"""Switches of later TensorFlow versions, as a program of version 1 meets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from tensorkiln.frontends.graph.convert import Convertible
from tensorkiln.frontends.graph.indexed_slices import IndexedSlices
from tensorkiln.frontends.graph.lifted import lifted
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.runtime.errors import UnsupportedError


def executing_eagerly() -> bool:
    """False: programs build graphs."""
    return False


def nothing_to_do() -> None:
    """What the switch asks for is so already."""


def resource_variables_enabled() -> bool:
    """False: variables are those of version 1."""
    return False


def enable_eager_execution(
    config: object = None, device_policy: object = None, execution_mode: object = None
) -> None:
    """Refused: there is no eager execution."""
    raise UnsupportedError("eager execution is not there: build a graph and run it in a Session")


def enable_v2_behavior() -> None:
    """Refused: this is the interface of version 1."""
    raise UnsupportedError("the behaviour of TensorFlow 2 is not there: this is version 1")


@contextmanager
def init_scope() -> Iterator[None]:
    """Ops made inside stand outside of control dependencies, loops and branches."""
    graph = get_default_graph()
    with graph.control_dependencies(None), lifted(graph):
        yield


@contextmanager
def container(container_name: str) -> Iterator[None]:
    """Accepted for programs that ask for it: state belongs to sessions."""
    yield


def is_tensor(x: object) -> bool:
    """True for tensors, variables and IndexedSlices."""
    return isinstance(x, Convertible)


def is_numeric_tensor(tensor: object) -> bool:
    """True for tensors of numbers."""
    if not isinstance(tensor, Convertible) or isinstance(tensor, IndexedSlices):
        return False
    dtype = tensor._as_tensor().dtype.base_dtype
    return dtype.is_floating or dtype.is_integer or dtype.is_complex


class AggregationMethod:
    """Ways to add up gradients; every one gives their sum."""

    ADD_N = 0
    DEFAULT = ADD_N
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


class UnconnectedGradients(Enum):
    """What `gradients` gives where there is no path."""

    NONE = "none"
    ZERO = "zero"


class VariableSynchronization(Enum):
    """When copies of a variable agree; there is one copy."""

    AUTO = 0
    NONE = 1
    ON_WRITE = 2
    ON_READ = 3


class VariableAggregation(Enum):
    """How copies of a variable are combined; there is one copy."""

    NONE = 0
    SUM = 1
    MEAN = 2
    ONLY_FIRST_REPLICA = 3
