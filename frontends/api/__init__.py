"""TensorKiln: an ahead-of-time compiler for tensor graphs.

`compile` makes a model callable, `export` writes it to disk, `load` loads what was written.
The graph API is that of TensorFlow 1 (`import tensorkiln as tf`).  All names are looked up when
they are first used, so that the runtime can be imported without the compiler.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

# Names that are not part of the graph API: the name here, its module, its name there.
_ENTRIES = {
    "compile": ("tensorkiln.frontends.compile", "compile_model"),
    "export": ("tensorkiln.frontends.compile", "export_model"),
    "export_training": ("tensorkiln.frontends.compile", "export_training"),
    "load": ("tensorkiln.runtime.load", "load"),
}
# The modules that hold the top-level names of the graph API.
_NAMES = (
    "names", "names_control", "names_math", "names_linalg", "names_arrays", "names_variables", "names_tools",
    "names_files",
)  # fmt: skip
_SUBMODULES = frozenset(
    {
        "app",
        "audio",
        "bitwise",
        "compat",
        "contrib",
        "debugging",
        "errors",
        "flags",
        "gfile",
        "graph_util",
        "image",
        "initializers",
        "io",
        "layers",
        "linalg",
        "logging",
        "losses",
        "math",
        "nest",
        "nn",
        "python",
        "python_io",
        "random",
        "resource_loader",
        "rnn_cell",
        "safetensors",
        "saved_model",
        "signal",
        "spectral",
        "strings",
        "summary",
        "test",
        "train",
        "version",
        "xla",
    }
)


def __getattr__(name: str) -> Any:
    """A submodule or a top-level name of the graph API, kept once it was found."""
    if name == "__all__":
        return [name for name in __dir__() if not name.startswith("_")]
    if name.startswith("__"):
        raise AttributeError(f"module 'tensorkiln' has no attribute {name!r}")
    if name in _ENTRIES:
        module, entry = _ENTRIES[name]
        found: Any = getattr(importlib.import_module(module), entry)
    elif name in _SUBMODULES:
        found = importlib.import_module(f"tensorkiln.{name}")
    else:
        for module in _NAMES:
            members = vars(importlib.import_module(f"tensorkiln.{module}"))
            if name in members:
                found = members[name]
                break
        else:
            raise AttributeError(f"module 'tensorkiln' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    names = [name for m in _NAMES for name in dir(importlib.import_module(f"tensorkiln.{m}"))]
    return sorted(
        {*globals(), *_ENTRIES, *_SUBMODULES, *(name for name in names if name[0] != "_")}
    )


def _alias(*path: str) -> None:
    """Lets `import` find this module itself under a longer name."""
    inner = sys.modules[__name__]
    for count in range(len(path) - 1, 0, -1):
        outer = ModuleType(".".join(("tensorkiln", *path[:count])))
        setattr(outer, path[count], inner)
        sys.modules[f"{outer.__name__}.{path[count]}"] = inner
        inner = outer
    sys.modules[inner.__name__] = inner


sys.modules["tensorkiln.compat.v1"] = sys.modules[__name__]
_alias("_api", "v1")
_alias("_api", "v2", "compat", "v1")
