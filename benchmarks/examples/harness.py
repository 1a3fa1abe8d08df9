"""Runs an example with one module or another in place of its import, and times its training loop.

    python harness.py PROGRAM MODULE [ARGUMENT ...]

MODULE is `tensorkiln`, or `tensorflow` for TensorFlow's version 1.  The last line is JSON: seconds a
step, from the start of one run of the training step (what the program runs most often) to the
next, with all that the program does in between; the median, without the first tenth.
"""

import itertools
import json
import os
import statistics
import sys
import time
import types
from importlib import import_module
from pathlib import Path

IMPORT = "import tensorkiln as tf"


def module(name: str) -> types.ModuleType:
    """The module by the name that programs use."""
    if name != "tensorflow":
        return import_module(name)
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS="1")
    found: types.ModuleType = import_module("tensorflow").compat.v1
    found.disable_v2_behavior()
    return found


def timed_runs(tf: types.ModuleType) -> dict[object, list[tuple[float, float]]]:
    """Notes when `Session.run` is called, by what is fetched."""
    starts: dict[object, list[tuple[float, float]]] = {}
    owner = next(kind for kind in tf.Session.__mro__ if "run" in kind.__dict__)
    run = owner.run

    def timed(self: object, fetches: object, *arguments: object, **options: object) -> object:
        key = tuple(map(id, fetches)) if isinstance(fetches, list) else id(fetches)
        starts.setdefault(key, []).append((time.perf_counter(), time.process_time()))
        return run(self, fetches, *arguments, **options)

    owner.run = timed
    return starts


def main(program: Path, name: str) -> None:
    tf = module(name)
    sys.modules["tf_of_the_example"] = tf
    sys.path.insert(0, str(program.parent))
    starts = timed_runs(tf)
    # Flags call the `main` of the module that is run, which is the example here.
    space = types.ModuleType("__main__")
    space.__file__ = str(program)
    sys.modules["__main__"] = space
    for path in sorted(program.parent.glob("*.py")):
        if path != program and f"import {path.stem}" in program.read_text():
            shared = types.ModuleType(path.stem)
            sys.modules[path.stem] = shared
            exec(compile(changed(path), str(path), "exec"), shared.__dict__)
    try:
        exec(compile(changed(program), str(program), "exec"), space.__dict__)
    except SystemExit as end:
        if end.code:
            raise
    found = max(starts.values(), key=len)
    warm = found[len(found) // 10 :]
    passed, worked = (
        statistics.median(b[k] - a[k] for a, b in itertools.pairwise(warm)) for k in range(2)
    )
    print(json.dumps({"steps": len(found), "seconds": passed, "processor_seconds": worked}))


def changed(path: Path) -> str:
    """The program with its import line changed."""
    return path.read_text().replace(IMPORT, "import tf_of_the_example as tf")


if __name__ == "__main__":
    program = Path(sys.argv[1])
    chosen = sys.argv[2]
    sys.argv = [str(program), *sys.argv[3:]]
    main(program, chosen)
