"""`tf.contrib.compiler`: which ops are compiled."""

import importlib
from typing import Any

_SUBMODULES = frozenset({"jit", "xla"})


def __getattr__(name: str) -> Any:
    """A submodule, imported when it is first used."""
    if name not in _SUBMODULES:
        raise AttributeError(f"module 'tensorkiln.contrib.compiler' has no attribute {name!r}")
    return importlib.import_module(f"tensorkiln.contrib.compiler.{name}")
