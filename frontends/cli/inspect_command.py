"""`tensorkiln inspect`: prints what a model is at each stage of compilation."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.nvptx_target import FIRST_ISA
from tensorkiln.compiler.codegen.target import emit_assembly, optimize, target_named
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.kernel.program import print_program
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.pipeline import Stages, compile_ptx, lower
from tensorkiln.frontends.cli.commands import HELP, UsageError
from tensorkiln.frontends.cli.compile_command import summary, tensor
from tensorkiln.frontends.cli.graph_text import graph_text
from tensorkiln.frontends.cli.manifest_text import manifest_text, training_text
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    add_dims,
    add_json,
    add_target,
    add_training,
    check_training,
    function_of,
)
from tensorkiln.frontends.onnx.load import load_model
from tensorkiln.runtime.load import read_manifest
from tensorkiln.runtime.manifest import Manifest
from tensorkiln.runtime.training_manifest import TrainingManifest

STAGES = ("graph", "ir", "fused", "kernels", "llvm", "asm", "ptx")
_ARTIFACTS = (".so", ".o")


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "inspect",
        help=HELP["inspect"],
        description="Prints an ONNX model at one stage: graph (as its file has it), ir (tensor IR),"
        " fused (after all passes), kernels (loop nests and memory plan), llvm, asm or ptx. Of a"
        " shared object or object file it prints the manifest.",
    )
    parser.add_argument("model", help="an ONNX file, or a .so or .o made by `compile`")
    parser.add_argument("--stage", choices=STAGES, help="what to print of an ONNX file")
    parser.add_argument(
        "--elide", type=int, default=16, metavar="N",
        help="shorten constants of more than N elements in ir and fused (default: 16)",
    )  # fmt: skip
    add_target(parser)
    parser.add_argument(
        "--gpu", choices=tuple(FIRST_ISA), default="sm_80", help="the GPU of ptx (default: sm_80)"
    )
    add_training(parser, "print the training step made of the model")
    add_dims(parser)
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Prints one stage, or a manifest."""
    check_training(options)
    artifact = options.model.endswith(_ARTIFACTS)
    if artifact and (options.stage or options.train):
        raise UsageError(
            "--stage and --train are for ONNX models; of an artifact, the manifest is printed"
        )
    if not artifact and not options.stage:
        raise UsageError(f"give --stage, one of {', '.join(STAGES)}")
    if artifact:
        _print_manifest(read_manifest(options.model), options.json)
        return 0
    with Progress(options.verbose) as progress:
        text = stage_text(options, progress)
    if options.json:
        print(json.dumps({"model": options.model, "stage": options.stage, "text": text}))
    else:
        print(text, end="" if text.endswith("\n") else "\n")
    return 0


def _print_manifest(manifest: Manifest | TrainingManifest, as_json: bool) -> None:
    if not isinstance(manifest, TrainingManifest):
        print(json.dumps(summary(manifest)) if as_json else manifest_text(manifest))
        return
    if not as_json:
        print(training_text(manifest))
        return
    offsets = manifest.offsets
    report = {
        "prefix": manifest.artifact.prefix,
        "state": [{**tensor(spec), "offset": offsets[spec.name]} for spec in manifest.state],
        "state_bytes": manifest.state_bytes,
        "recipe": None if manifest.recipe is None else asdict(manifest.recipe),
        "train_step": summary(manifest.fed(manifest.step)),
        "predict": summary(manifest.fed(manifest.predict)),
    }
    print(json.dumps(report))


def stage_text(options: Any, progress: Progress) -> str:
    """The model's text at `options.stage`."""
    progress.step(f"reading {options.model}")
    if options.stage == "graph" and options.train:
        raise UsageError("--train: the stage graph is what the file has, before training is added")
    if options.stage == "graph":
        model, _ = load_model(options.model)
        return graph_text(model)
    name = Path(options.model).stem
    function = function_of(options, name)
    if options.stage == "ir":
        return print_function(function, options.elide)
    if options.stage == "ptx":
        return compile_ptx(function, options.gpu, progress.watch(name)).text
    target = target_named(options.target)
    stages = lower(function, target, progress.watch(name))
    texts: dict[str, Callable[[], str]] = {
        "fused": lambda: print_function(stages.fused, options.elide),
        "kernels": lambda: print_program(stages.program),
        "llvm": lambda: stages.llvm,
        "asm": lambda: assembly(stages, target),
    }
    return texts[options.stage]()


def assembly(stages: Stages, target: Target) -> str:
    """The assembly text that the model's machine code is made of."""
    module = llvm.parse_assembly(stages.llvm)
    optimize(module, target)
    return emit_assembly(module, target)
