"""`tf.xla`: which ops are compiled."""

import importlib
from typing import Any

_SUBMODULES = frozenset({"experimental"})


def __getattr__(name: str) -> Any:
    """A submodule, imported when it is first used."""
    if name not in _SUBMODULES:
        raise AttributeError(f"module 'tensorkiln.xla' has no attribute {name!r}")
    return importlib.import_module(f"tensorkiln.xla.{name}")
