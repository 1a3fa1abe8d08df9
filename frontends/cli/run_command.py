"""`tensorkiln run`: a model on arrays from files, or on random ones."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tensorkiln.compiler.bounds import CheckedCode
from tensorkiln.compiler.codegen.target import target_named
from tensorkiln.compiler.evaluate import evaluate
from tensorkiln.compiler.ir.function import Function
from tensorkiln.frontends.cached import compile_onnx
from tensorkiln.frontends.cli.arrays import Array, write_outputs
from tensorkiln.frontends.cli.commands import HELP, UsageError
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    add_cache,
    add_dims,
    add_inputs,
    add_json,
    add_threads,
    add_winograd,
    cache_of,
    check_folder,
    dims_of,
    feeds_of,
    sizes_at,
)
from tensorkiln.frontends.onnx import import_model
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.feeds import conform
from tensorkiln.runtime.jit import load_compiled
from tensorkiln.runtime.load import load_model
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.open_executable import OpenExecutable
from tensorkiln.runtime.open_sizes import OpenSpec

_LARGEST_PRINTED = 1000


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "run",
        help=HELP["run"],
        description="Runs an ONNX model or a compiled shared object. Inputs that no file gives are"
        " random: normal floats, integers from 0 to 9.",
    )
    parser.add_argument("model", help="an ONNX file, or a shared object made by `compile`")
    add_inputs(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE",
        help="save the outputs: all to FILE.npz, or the only one to FILE.npy",
    )  # fmt: skip
    parser.add_argument(
        "--interpreted", action="store_true", help="run the reference interpreter (ONNX only)"
    )
    parser.add_argument(
        "--check-bounds", action="store_true",
        help="check every load and store against its buffer (ONNX only; slow)",
    )  # fmt: skip
    add_dims(parser)
    add_threads(parser)
    add_winograd(parser)
    add_cache(parser)
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Runs once and prints or saves the outputs."""
    output: Path | None = options.output
    if output is not None and output.suffix not in (".npz", ".npy"):
        raise UsageError(f"--output {output}: its name must end in .npz or .npy")
    check_folder(output)
    with Progress(options.verbose) as progress:
        model = _open(options, progress)
        if output is not None and output.suffix == ".npy" and len(model.outputs) != 1:
            raise UsageError(f"--output {output}: {len(model.outputs)} outputs need an .npz file")
        feeds = feeds_of(options, _specs(model, options))
        progress.step("running")
        start = time.perf_counter()
        results = model.run(feeds)
        seconds = time.perf_counter() - start
        if output is not None:
            arrays = dict(zip((spec.name for spec in model.outputs), results, strict=True))
            write_outputs(output, arrays)
    if options.json:
        print(json.dumps(_report(model, results, seconds), allow_nan=False))
    else:
        for spec, array in zip(_outputs(model), results, strict=True):
            print(_line(spec, array))
    return 0


class _Interpreted:
    """A function with the interface of an Executable, as far as this command needs it."""

    def __init__(self, function: Function) -> None:
        self.inputs = tuple(TensorSpec(v.name, v.shape, v.dtype.name) for v in function.parameters)
        names = function.result_names or tuple(v.name for v in function.results)
        self.outputs = tuple(
            TensorSpec(name, v.shape, v.dtype.name)
            for name, v in zip(names, function.results, strict=True)
        )
        self._function = function

    def run(self, feeds: dict[str, Array]) -> list[Array]:
        values = [conform(spec, feeds[spec.name]) for spec in self.inputs]
        return list(evaluate(self._function, values))


class _Checked(_Interpreted):
    """Code with checks of bounds behind the same interface."""

    def __init__(self, function: Function, code: CheckedCode) -> None:
        super().__init__(function)
        self._code = code

    def run(self, feeds: dict[str, Array]) -> list[Array]:
        return self._code.run([conform(spec, feeds[spec.name]) for spec in self.inputs])


Runnable: TypeAlias = Executable | OpenExecutable | _Interpreted


def _open(options: Any, progress: Progress) -> Runnable:
    if options.model.endswith(".so"):
        if options.interpreted or options.check_bounds:
            raise UsageError(
                "--interpreted and --check-bounds are for ONNX models, not for shared objects"
            )
        loaded = load_model(options.model, options.threads)
        if options.dims and not isinstance(loaded, OpenExecutable):
            raise UsageError("--dim is for models that were compiled for a range of sizes")
        return loaded
    name = Path(options.model).stem
    if options.check_bounds:
        if options.interpreted:
            raise UsageError("--check-bounds is for compiled code, not for --interpreted")
        progress.step(f"reading {options.model}")
        function = import_model(options.model, dims=dims_of(options), name=name)
        progress.step("compiling with checks")
        return _Checked(function, CheckedCode(function, target_named("host"), options.threads))
    if options.interpreted:
        progress.step(f"reading {options.model}")
        return _Interpreted(import_model(options.model, dims=dims_of(options), name=name))
    compiled = compile_onnx(
        options.model, target_named("host"), dims=dims_of(options), name=name,
        cache=cache_of(options), dump=progress.watch(name), tell=progress.step,
        without=options.without,
    )  # fmt: skip
    return load_compiled(compiled, options.threads)


def _specs(model: Runnable, options: Any) -> Sequence[TensorSpec]:
    if isinstance(model, OpenExecutable):
        return sizes_at(model, dims_of(options))[0]
    return model.inputs


def _outputs(model: Runnable) -> Sequence[TensorSpec | OpenSpec]:
    return model.outputs


def _line(spec: TensorSpec | OpenSpec, array: Array) -> str:
    """An output in a line: its type, its range and its first elements."""
    head = f"{spec.name}  {spec.dtype}[{','.join(map(str, array.shape))}]"
    if array.size == 0:
        return f"{head}  empty"
    some = ", ".join(f"{value:.6g}" for value in array.reshape(-1)[:8].tolist())
    more = ", ..." if array.size > 8 else ""
    if array.dtype.kind in "bc":
        return f"{head}  [{some}{more}]"
    wide = array.astype(np.float64)
    return f"{head}  min {wide.min():.6g}  max {wide.max():.6g}  [{some}{more}]"


def _report(model: Runnable, results: Sequence[Array], seconds: float) -> dict[str, object]:
    outputs = []
    for spec, array in zip(_outputs(model), results, strict=True):
        item: dict[str, object] = {
            "name": spec.name, "shape": list(array.shape), "dtype": spec.dtype,
        }  # fmt: skip
        if array.size <= _LARGEST_PRINTED:
            item["values"] = [_number(value) for value in array.reshape(-1).tolist()]
        outputs.append(item)
    return {"outputs": outputs, "seconds": seconds}


def _number(value: Any) -> object:
    """A value for JSON, which has neither infinities nor complex numbers."""
    if isinstance(value, complex):
        return [_number(value.real), _number(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
