"""The commands by name, without the modules that do them: help is told before those are imported."""

from __future__ import annotations

HELP: dict[str, str] = {
    "compile": "compile a model to a file that needs no Python",
    "run": "run a model on arrays from files, or on random ones",
    "inspect": "print a model at a stage of compilation, or what an artifact says of itself",
    "bench": "measure compiled models beside interpreted mode and installed engines",
    "profile": "time a model's kernels and compare them with what the machine can do",
    "verify": "compare compiled code with the interpreter, value by value",
    "cache": "show or empty the cache of compiled models",
    "doctor": "list the TensorFlow names a program uses that TensorKiln lacks",
}


class UsageError(Exception):
    """Arguments that do not fit together, found after they were parsed."""
