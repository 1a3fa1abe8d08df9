"""`tensorkiln inspect`: prints what a model is at each stage of compilation."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from tensorkiln.compiler.codegen.nvptx_target import FIRST_ISA
from tensorkiln.compiler.codegen.target import emit_assembly, optimize, target_named
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.kernel.program import print_program
from tensorkiln.compiler.kernel.target import Target
from tensorkiln.compiler.pipeline import Stages, compile_ptx, lower
from tensorkiln.frontends.cli.compile_command import summary
from tensorkiln.frontends.cli.graph_text import graph_text
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    UsageError,
    add_dims,
    add_json,
    add_target,
    dims_of,
)
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.onnx.load import load_model
from tensorkiln.runtime.load import read_manifest
from tensorkiln.runtime.manifest import Manifest

STAGES = ("graph", "ir", "fused", "kernels", "llvm", "asm", "ptx")
_ARTIFACTS = (".so", ".o")


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "inspect",
        help="print a model at a stage of compilation, or what an artifact says of itself",
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
    add_dims(parser)
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Prints one stage, or a manifest."""
    artifact = options.model.endswith(_ARTIFACTS)
    if artifact and options.stage:
        raise UsageError("--stage is for ONNX models; of an artifact, the manifest is printed")
    if not artifact and not options.stage:
        raise UsageError(f"give --stage, one of {', '.join(STAGES)}")
    if artifact:
        manifest = read_manifest(options.model)
        print(json.dumps(summary(manifest)) if options.json else manifest_text(manifest))
        return 0
    with Progress(options.verbose) as progress:
        text = stage_text(options, progress)
    if options.json:
        print(json.dumps({"model": options.model, "stage": options.stage, "text": text}))
    else:
        print(text, end="" if text.endswith("\n") else "\n")
    return 0


def stage_text(options: Any, progress: Progress) -> str:
    """The model's text at `options.stage`."""
    progress.step(f"reading {options.model}")
    if options.stage == "graph":
        model, _ = load_model(options.model)
        return graph_text(model)
    name = Path(options.model).stem
    function = import_model(options.model, dims=dims_of(options), name=name)
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


def manifest_text(manifest: Manifest) -> str:
    """A manifest for people."""
    lines = [f"model       {manifest.model}", f"target      {manifest.triple}, {manifest.cpu}"]
    for kind, specs in (("input", manifest.inputs), ("output", manifest.outputs)):
        for spec in specs:
            shape = ",".join(map(str, spec.shape))
            alias = (
                "" if spec.alias is None else f", in place of {manifest.inputs[spec.alias].name}"
            )
            lines.append(f"{kind:<11} {spec.name}  {spec.dtype}[{shape}]{alias}")
    if manifest.sizes is not None:
        shapes = zip(manifest.inputs, manifest.sizes.inputs, strict=False)
        results = zip(manifest.outputs, manifest.sizes.outputs, strict=True)
        lines.append(
            f"sizes       {', '.join(map(str, manifest.sizes.ranges))}; above are the largest"
        )
        lines += [f"  {spec.name}  {spec.dtype}[{shape}]" for spec, shape in (*shapes, *results)]
        for part in manifest.sizes.parts:
            ends = ", ".join(map(str, part.ranges))
            lines.append(f"  code for {ends}: workspace {part.workspace_bytes} bytes")
    lines += [
        f"constants   {manifest.constants_bytes} bytes",
        f"workspace   {manifest.workspace_bytes} bytes",
        f"peak        {manifest.peak_bytes} bytes",
        f"work        {manifest.flops} flops, {manifest.bytes} bytes moved",
        f"kernels     {len(manifest.kernels)}",
    ]
    for kernel in manifest.kernels:
        nodes = ", ".join(kernel.nodes)
        lines.append(f"  {kernel.name}  {kernel.flops} flops, {kernel.bytes} bytes  {nodes}")
    return "\n".join(lines)
