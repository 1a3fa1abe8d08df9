"""`tensorkiln compile`: an ONNX model to a shared object, archive or object file with a header."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorkiln.compiler.codegen.artifact import write_artifact
from tensorkiln.compiler.codegen.artifact_files import KINDS, WrittenArtifact
from tensorkiln.compiler.codegen.header import c_identifier
from tensorkiln.compiler.codegen.target import isa_names, target_named
from tensorkiln.compiler.self_test import make_self_test
from tensorkiln.frontends.cached import compile_onnx
from tensorkiln.frontends.cli.commands import HELP, UsageError
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    add_cache,
    add_dims,
    add_json,
    add_target,
    add_training,
    add_winograd,
    cache_of,
    check_training,
    open_dims_of,
    training_of,
)
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.open_dims import dim_sizes
from tensorkiln.frontends.training_export import TrainingExport
from tensorkiln.runtime.errors import UnsupportedError
from tensorkiln.runtime.manifest import Manifest, TensorSpec


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "compile",
        help=HELP["compile"],
        description="Compiles an ONNX model to a shared object (.so), an archive (.a) or an object"
        " file (.o), with a C header beside it. The file needs libc, libm and pthreads only.",
    )
    parser.add_argument("model", help="an ONNX file")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="what to write: FILE.so, .a or .o"
    )
    parser.add_argument(
        "--name", help="prefix of the C names, a C identifier (default: from the output's name)"
    )
    add_target(parser)
    add_dims(parser)
    parser.add_argument(
        "--weights", choices=("embed", "file"), default="embed",
        help="where weights, and with --train the initial values, go: into the output, or to a file"
        " beside it (default: embed)",
    )  # fmt: skip
    parser.add_argument(
        "--isa", type=_levels, default=(), metavar="v2,v3,v4",
        help="code for several levels of x86-64 in one file, which takes the best that the"
        " processor has; instead of --target",
    )  # fmt: skip
    parser.add_argument(
        "--self-test", action="store_true",
        help="put test vectors into the file, for `verify` and the C function NAME_self_test",
    )  # fmt: skip
    add_training(parser, "write init, train_step, predict, save and load, called from C")
    add_winograd(parser)
    add_cache(parser)
    add_json(parser)
    return parser


def _levels(text: str) -> tuple[str, ...]:
    try:
        return tuple(isa_names(text.split(",")))
    except UnsupportedError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(options: Any) -> int:
    """Compiles and writes; prints the names of the files."""
    check_training(options)
    output = Path(options.output)
    if output.suffix not in KINDS:
        raise UsageError(f"--output {output}: its name must end in one of {', '.join(KINDS)}")
    if options.name is not None and c_identifier(options.name) != options.name:
        raise UsageError(f"--name {options.name}: not a usable C identifier")
    name = options.name or c_identifier(output.stem, "model")
    if options.isa and options.target != "host":
        raise UsageError("give --target or --isa, not both")
    if options.train:
        return _training(options, output, name)
    targets = list(map(target_named, options.isa or [options.target]))
    sizes = dim_sizes(open_dims_of(options))
    with Progress(options.verbose) as progress:
        made = [
            compile_onnx(
                options.model, target, dims=open_dims_of(options), name=name,
                cache=cache_of(options), dump=progress.watch(name), tell=progress.step,
                without=options.without,
            )
            for target in targets
        ]  # fmt: skip
        test = None
        if options.self_test:
            progress.step("making test vectors")
            test = make_self_test(
                lambda point: import_model(options.model, dims=sizes.at(point), name=name), made
            )
        progress.step(f"writing {output}")
        written = write_artifact(
            made[0], targets[0], output, weights=options.weights, prefix=name,
            others=list(zip(made[1:], targets[1:], strict=True)), self_test=test,
        )  # fmt: skip
    _tell(options, written, summary(made[0].manifest))
    return 0


def _training(options: Any, output: Path, name: str) -> int:
    """Writes a training artifact."""
    sizes = dim_sizes(open_dims_of(options))
    with Progress(options.verbose) as progress:
        progress.step(f"reading {options.model}")
        how = TrainingExport(
            list(map(target_named, options.isa or [options.target])), options.self_test,
            cache_of(options), options.without, options.weights, progress.step,
        )  # fmt: skip
        written, step, predict = how.write(
            lambda point: training_of(options, sizes.at(point)), sizes.symbols, output, name
        )
    parts = {"train_step": summary(step.manifest), "predict": summary(predict.manifest)}
    _tell(options, written, parts)
    return 0


def _tell(options: Any, written: WrittenArtifact, what: Mapping[str, object]) -> None:
    """Prints the names of the files, or with --json what is in them as well."""
    files = [path for path in (written.path, written.header, written.weights) if path is not None]
    if options.json:
        print(json.dumps({"files": list(map(str, files)), **what}))
        return
    for path in files:
        print(f"{path}  {path.stat().st_size} bytes")


def summary(manifest: Manifest) -> dict[str, object]:
    """What a manifest says, for JSON."""
    return {
        "model": manifest.model,
        "inputs": [tensor(spec) for spec in manifest.inputs],
        "outputs": [tensor(spec) for spec in manifest.outputs],
        "target": manifest.triple,
        "cpu": manifest.cpu,
        "flops": manifest.flops,
        "bytes": manifest.bytes,
        "constants_bytes": manifest.constants_bytes,
        "workspace_bytes": manifest.workspace_bytes,
        "peak_bytes": manifest.peak_bytes,
        "kernels": len(manifest.kernels),
    }


def tensor(spec: TensorSpec) -> dict[str, object]:
    """An input or output, for JSON."""
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}
