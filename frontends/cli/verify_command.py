"""`tensorkiln verify`: compiled code against the interpreter, or an artifact against itself."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorkiln.compiler.codegen.target import NAMES, target_named
from tensorkiln.frontends.cli.commands import HELP, UsageError
from tensorkiln.frontends.cli.progress import Progress
from tensorkiln.frontends.cli.usage import (
    Commands,
    add_dims,
    add_inputs,
    add_json,
    add_training,
    check_training,
    dims_of,
    feeds_of,
    model_and_feeds,
    sizes_at,
)
from tensorkiln.frontends.cli.verify import (
    AGREES,
    DIFFERS,
    THREADS,
    Check,
    Verifier,
    same_bits,
)
from tensorkiln.frontends.cli.verify_artifact import against_model, self_test
from tensorkiln.frontends.cli.verify_training import (
    against_training,
    same_bits_trained,
    trained_inputs,
)
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.training import train_onnx
from tensorkiln.runtime.load import load
from tensorkiln.runtime.open_executable import OpenExecutable
from tensorkiln.runtime.trainer import Trainer

DIFFERENT = 4
_LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")


def add(commands: Commands) -> argparse.ArgumentParser:
    """Adds the command's arguments."""
    parser = commands.add_parser(
        "verify",
        help=HELP["verify"],
        description="Runs a model in the interpreter and compiled, and compares: the model before"
        " and after all passes; each kernel on its own operands, for each target; compiled without"
        " optimisation; and the bits for several numbers of threads. The first difference is told"
        " with the user's node. A shared object runs the test vectors inside of it (see `compile"
        " --self-test`), and is compared with the ONNX file that --against names. Floats may"
        " differ by a number of units in the last place of their tensor's largest magnitude.",
        epilog=f"exit code {DIFFERENT}: something differs",
    )
    parser.add_argument("model", help="an ONNX file, or a shared object made by `compile`")
    add_inputs(parser)
    parser.add_argument(
        "--target", action="append", choices=NAMES, default=[], dest="targets", metavar="NAME",
        help=f"a target to compile for; may be repeated (default: host, {', '.join(_LEVELS)})",
    )  # fmt: skip
    parser.add_argument(
        "--against", metavar="MODEL.onnx", help="of a shared object: the model it was made from"
    )
    add_training(parser, "verify the training step made of the model")
    add_dims(parser)
    add_json(parser)
    return parser


def run(options: Any) -> int:
    """Runs all checks; 0 if nothing differs."""
    check_training(options)
    artifact = options.model.endswith(".so")
    if artifact and options.targets:
        raise UsageError("--target is for ONNX models; a shared object has its targets in it")
    if artifact and options.train:
        raise UsageError("--train is for ONNX models; a shared object has its training in it")
    if options.against and not artifact:
        raise UsageError("--against is for shared objects")
    checks: list[Check] = []
    with Progress(options.verbose) as progress:
        made = _artifact_checks(options, progress) if artifact else _model_checks(options, progress)
        for check in made:
            checks.append(check)
            if not options.json:
                progress.clear()
                print(_line(check), flush=True)
    differ = [check for check in checks if check.outcome == DIFFERS]
    if options.json:
        print(json.dumps(_report(options.model, checks), allow_nan=False))
    else:
        agreed = sum(check.outcome == AGREES for check in checks)
        skipped = len(checks) - agreed - len(differ)
        print(f"{agreed} agree, {len(differ)} differ, {skipped} skipped")
    return DIFFERENT if differ else 0


def _model_checks(options: Any, progress: Progress) -> Iterator[Check]:
    progress.step(f"reading {options.model}")
    function, feeds = model_and_feeds(options, Path(options.model).stem)
    progress.step("interpreting")
    arrays = [feeds[v.name] for v in function.parameters]
    verifier = Verifier(function, arrays, progress.detail)
    progress.step("comparing passes")
    yield verifier.passes()
    for target in options.targets or ("host", *_LEVELS):
        progress.step(f"comparing kernels for {target}")
        yield verifier.kernels(target_named(target))
    progress.step("comparing unoptimised code")
    yield verifier.plain(target_named("host"))
    progress.step("comparing numbers of threads")
    yield verifier.threads()


def _artifact_checks(options: Any, progress: Progress) -> Iterator[Check]:
    executable = load(options.model)
    assert executable.manifest.artifact is not None
    progress.step("running the self-test")
    yield self_test(options.model, executable.manifest.artifact)
    if isinstance(executable, Trainer):
        yield from _trainer_checks(options, executable, progress)
        return
    open_dims = dims_of(options) if isinstance(executable, OpenExecutable) else {}
    signature = sizes_at(executable, open_dims)
    feeds = feeds_of(options, signature[0])
    arrays = [feeds[spec.name] for spec in signature[0]]
    progress.step("comparing numbers of threads")
    yield same_bits(executable, arrays, THREADS, progress.detail)
    if options.against:
        progress.step(f"comparing with {options.against}")
        function = import_model(options.against, dims=dims_of(options))
        yield against_model(executable, signature, function, arrays)


def _trainer_checks(options: Any, trainer: Trainer, progress: Progress) -> Iterator[Check]:
    dims = dims_of(options)
    recipe = trainer.manifest.recipe
    open_sizes = (
        trainer.manifest.step.sizes is not None or trainer.manifest.predict.sizes is not None
    )
    feeds = feeds_of(options, list(trained_inputs(trainer, dims if open_sizes else {}).values()))
    progress.step("comparing numbers of threads")
    yield same_bits_trained(trainer, feeds, THREADS)
    if not options.against:
        return
    if recipe is None:
        raise UsageError("--against: this training was made of a graph, not of an ONNX model")
    progress.step(f"comparing with {options.against}")
    model = train_onnx(
        options.against, loss=recipe.loss, optimizer=recipe.optimizer, dims=dims,
        learning_rate=recipe.learning_rate, trainable=recipe.trainable,
    )  # fmt: skip
    yield against_training(trainer, model, feeds)


def _line(check: Check) -> str:
    text = f"{check.outcome:<8} {check.name:<18} {check.text}"
    if check.gap is not None and check.outcome == AGREES:
        place = f" in {check.where[0]}" if check.where else ""
        text += f"; at most {check.gap.units:.3g} of {check.gap.limit:g} units{place}"
    return text


def _report(model: str, checks: list[Check]) -> dict[str, object]:
    return {
        "model": model,
        "agrees": all(check.outcome != DIFFERS for check in checks),
        "checks": [
            {
                "name": check.name,
                "outcome": check.outcome,
                "text": check.text,
                "units": None if check.gap is None else _number(check.gap.units),
                "limit": None if check.gap is None else check.gap.limit,
                "where": list(check.where),
            }
            for check in checks
        ],
    }


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
