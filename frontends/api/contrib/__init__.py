"""`tf.contrib`: what programs use of it."""

import importlib
from typing import Any

_SUBMODULES = frozenset({"compiler", "framework", "layers", "opt", "rnn", "seq2seq", "util"})


def __getattr__(name: str) -> Any:
    """A submodule, imported when it is first used."""
    if name not in _SUBMODULES:
        raise AttributeError(f"module 'tensorkiln.contrib' has no attribute {name!r}")
    return importlib.import_module(f"tensorkiln.contrib.{name}")
