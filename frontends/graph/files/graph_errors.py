"""What a graph definition that cannot be read raises.

TensorFlow raises ValueError for broken graphs and NotFoundError for op types it does not know
(ValueError before its version 1.4): programs that catch those catch these.
"""

from __future__ import annotations

from tensorkiln.frontends.graph.errors import NotFoundError
from tensorkiln.runtime.errors import ModelError, UnsupportedError


class BrokenGraphError(ModelError, ValueError):
    """A graph definition makes no sense: an unknown input, a name used twice, a cycle."""


class UnknownOpError(UnsupportedError, NotFoundError, ValueError):
    """A graph definition has op types that cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(None, None, message)
