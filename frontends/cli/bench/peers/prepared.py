"""What every engine gives the worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to run.

    `call` runs it once on inputs and outputs that the engine holds; `outputs` copies the results
    of the last such call; `end_to_end` runs it on numpy arrays and gives numpy arrays.
    """

    call: Callable[[], object]
    outputs: Callable[[], list[Any]]
    end_to_end: Callable[[], list[Any]]
