"""What TensorKiln takes from the process's environment; no other module of the compiler reads it."""

from __future__ import annotations

import os
from pathlib import Path

DUMP = "TENSORKILN_DUMP"
CACHE = "TENSORKILN_CACHE"


def dump_folder() -> Path | None:
    """The folder for dumps that TENSORKILN_DUMP names, or None."""
    root = os.environ.get(DUMP)
    return Path(root) if root else None


def cache_folder() -> Path | None:
    """The folder of the compile cache; None where TENSORKILN_CACHE is "off".

    TENSORKILN_CACHE names it; else it is `tensorkiln` in the user's folder for caches
    (XDG Base Directory specification 0.8: XDG_CACHE_HOME if absolute, else ~/.cache).
    """
    chosen = os.environ.get(CACHE, "")
    if chosen:
        return None if chosen == "off" else Path(chosen)
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not root.is_absolute():
        try:
            root = Path.home() / ".cache"
        except RuntimeError:  # a user without a home
            return None
    return root / "tensorkiln"
