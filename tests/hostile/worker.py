"""Takes damaged inputs in a process of its own: `worker.py KIND FILE FIRST COUNT`.

Memory and time are limited. Prints one line an input: its seed and how it ended, which is "done",
the name of an error of TensorKiln, or "WRONG" with what else was raised.
"""

from __future__ import annotations

import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
from google.protobuf.message import DecodeError
from onnx import ModelProto

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile.mutate import damaged_bytes, damaged_text

from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ir.parse import parse_function
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.pipeline import compile_function
from tensorkiln.frontends.compile import compile_model
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.backend import InterpretedBackend
from tensorkiln.runtime.errors import TensorKilnError
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.manifest import Manifest

SECONDS = 20  # of the processor: another program's load is no fault of an input
MEMORY = 6 << 30
_LARGEST = 1 << 16  # elements of a value, up to which a function is also compiled and run


class _SlowError(BaseException):
    pass


def _late(number: int, frame: FrameType | None) -> None:
    raise _SlowError(f"took over {SECONDS} seconds of the processor")


def take_onnx(data: bytes, seed: int) -> None:
    """Imports a damaged model, and runs what can be imported."""
    _run(import_model(damaged_bytes(data, seed)))


def take_ranges(data: bytes, seed: int) -> None:
    """Compiles a damaged model for a range of sizes, and runs it at the ends, beside the interpreter."""
    damaged = damaged_bytes(data, seed)
    if any(v.type.elements > _LARGEST for v in _values(import_model(damaged, dims={"batch": 3}))):
        return
    executable = compile_model(damaged, threads=1, dims={"batch": (1, 3)}, cache=False)
    for size in (1, 3):
        function = import_model(damaged, dims={"batch": size})
        arrays = [np.zeros(v.shape, v.dtype.numpy) for v in function.parameters]
        expected = evaluate(function, arrays)
        if [a.shape for a in executable(*arrays)] != [a.shape for a in expected]:
            raise AssertionError("compiled code gives other shapes than the interpreter")


def take_words(data: bytes, seed: int) -> None:
    """Prepares a damaged model of texts, and runs it interpreted on words."""
    model = ModelProto()
    damaged = damaged_bytes(data, seed)
    try:
        model.ParseFromString(damaged)
    except DecodeError:
        import_model(damaged)  # which says so
        return
    InterpretedBackend.prepare(model).run([np.array(["the", "cat", "Dog", ""], object)])


def take_text(data: bytes, seed: int) -> None:
    """Parses and verifies a damaged text, and runs what is valid."""
    function = parse_function(damaged_text(data.decode(), seed))
    verify_function(function, REGISTRY.types)
    _run(function)


def take_manifest(data: bytes, seed: int) -> None:
    """Reads a damaged manifest."""
    Manifest.from_json(damaged_bytes(data, seed))


def _run(function: Function) -> None:
    if function.symbols or any(v.type.elements > _LARGEST for v in _values(function)):
        return
    arrays = [np.zeros(v.shape, v.dtype.numpy) for v in function.parameters]
    expected = evaluate(function, arrays)
    found = load_compiled(compile_function(function), 1)(*arrays)
    if [a.shape for a in found] != [a.shape for a in expected]:
        raise AssertionError("compiled code gives other shapes than the interpreter")


def _values(function: Function) -> list[Value]:
    return [v for op in function.ops for v in op.results] + list(function.parameters)


KINDS: dict[str, Callable[[bytes, int], None]] = {
    "onnx": take_onnx, "ranges": take_ranges, "words": take_words, "text": take_text,
    "manifest": take_manifest,
}  # fmt: skip


def main() -> None:
    kind, path, first, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _late)
    data = path.read_bytes()
    for seed in range(first, first + count):
        print(seed, end=" ", flush=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            KINDS[kind](data, seed)
            end = "done"
        except TensorKilnError as error:
            end = type(error).__name__ if str(error).strip() else "WRONG an error without a text"
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            end = f"WRONG {type(error).__name__}: {error} at {where.filename}:{where.lineno}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(end.replace("\n", " ")[:400], flush=True)


if __name__ == "__main__":
    main()
