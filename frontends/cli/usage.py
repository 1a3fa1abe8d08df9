"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tensorkiln.compiler.cache import Cache, default_cache
from tensorkiln.compiler.codegen.target import NAMES
from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.self_test import specs_of
from tensorkiln.compiler.training import TrainingModel
from tensorkiln.frontends.cli.arrays import Array, read_inputs
from tensorkiln.frontends.cli.commands import UsageError
from tensorkiln.frontends.onnx import import_model
from tensorkiln.frontends.open_dims import Range
from tensorkiln.frontends.training import train_onnx
from tensorkiln.frontends.training_rules import (
    DEFAULT_OPTIMIZER,
    DEFAULT_RATE,
    LOSSES,
    OPTIMIZERS,
)
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.open_executable import OpenExecutable

Signature: TypeAlias = tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def check_folder(path: Path | None) -> None:
    """FileNotFoundError if `path` has no folder to be in, before work for it is done."""
    if path is not None and not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist", str(path))


def add_target(parser: argparse.ArgumentParser) -> None:
    """Adds --target."""
    parser.add_argument(
        "--target", default="host", choices=NAMES, metavar="NAME",
        help=f"the machine to compile for: {', '.join(NAMES)} (default: host)",
    )  # fmt: skip


def add_dims(parser: argparse.ArgumentParser) -> None:
    """Adds --dim."""
    parser.add_argument(
        "--dim", action="append", type=dim, default=[], metavar="NAME=SIZE", dest="dims",
        help="size of an open dim of the model, such as batch=1, or for `compile` a range of sizes,"
        " such as batch=1..64 or, of multiples of 32, height=32..512:32; may be repeated",
    )  # fmt: skip


def add_winograd(parser: argparse.ArgumentParser) -> None:
    """Adds --no-winograd."""
    parser.add_argument(
        "--no-winograd", action="store_const", const=("winograd",), default=(), dest="without",
        help="compute 3x3 convolutions directly: slower, but with a quarter of the weights'"
        " memory and the rounding of a plain sum",
    )  # fmt: skip


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Adds the files that give inputs, -i and --seed."""
    parser.add_argument(
        "arrays", nargs="*", metavar="FILE",
        help="inputs: .npz by name, .npy in the model's order (others: random)",
    )  # fmt: skip
    parser.add_argument(
        "-i", "--input", action="append", default=[], metavar="NAME=FILE.npy", dest="named",
        help="one input by name; may be repeated",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")


def feeds_of(options: Any, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """An array for each input, from the files given or at random."""
    return read_inputs(specs, options.arrays, named_files(options.named), options.seed)


def add_training(parser: argparse.ArgumentParser, text: str) -> None:
    """Adds --train and what belongs to it; `text` says what --train does here."""
    training = parser.add_argument_group("a model that is trained")
    training.add_argument(
        "--train", choices=tuple(LOSSES), metavar="LOSS", help=f"{text}; LOSS: {', '.join(LOSSES)}"
    )
    training.add_argument(
        "--optimizer", choices=tuple(OPTIMIZERS), metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default: {DEFAULT_OPTIMIZER})",
    )  # fmt: skip
    training.add_argument("--learning-rate", type=float, help=f"default: {DEFAULT_RATE}")
    training.add_argument(
        "--trainable", action="append", metavar="NAME",
        help="an initializer to train; may be repeated (default: all of f32 with a dim, except the"
        " statistics of batch norms)",
    )  # fmt: skip


def training_of(options: Any, dims: Mapping[str, int]) -> TrainingModel:
    """The model with the training that the options tell, for these sizes of its dims."""
    return train_onnx(
        options.model, loss=options.train, optimizer=options.optimizer or DEFAULT_OPTIMIZER,
        learning_rate=DEFAULT_RATE if options.learning_rate is None else options.learning_rate,
        dims=dims, trainable=options.trainable,
    )  # fmt: skip


def check_training(options: Any) -> None:
    """UsageError for options of a training that is not asked for."""
    given = {
        "--optimizer": options.optimizer, "--learning-rate": options.learning_rate,
        "--trainable": options.trainable,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None and not options.train:
            raise UsageError(f"{name} goes with --train LOSS")


def model_and_feeds(options: Any, name: str) -> tuple[Function, dict[str, Array]]:
    """The model of the options, or its training step with --train, and an array for each parameter.

    The state of a step has its initial values.
    """
    if not options.train:
        function = function_of(options, name)
        return function, feeds_of(options, specs_of(function))
    model = training_of(options, dims_of(options))
    fed = [spec for spec in specs_of(model.step) if spec.name not in model.state]
    return model.step, {**model.state, **feeds_of(options, fed)}


def function_of(options: Any, name: str) -> Function:
    """The model of the options in tensor IR, or its training step with --train."""
    if options.train:
        return training_of(options, dims_of(options)).step
    return import_model(options.model, dims=dims_of(options), name=name)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Adds --threads."""
    parser.add_argument(
        "--threads", type=threads, default=0, metavar="N",
        help="threads of a call (default: as many as the process may use)",
    )  # fmt: skip


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Adds --no-cache."""
    parser.add_argument(
        "--no-cache", action="store_false", dest="cache",
        help="compile anew and keep nothing (see `tensorkiln cache`)",
    )  # fmt: skip


def cache_of(options: Any) -> Cache | None:
    """The user's cache, None with --no-cache."""
    return default_cache() if options.cache else None


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds --json."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def dim(text: str) -> tuple[str, int | Range]:
    """`NAME=SIZE`, `NAME=LEAST..GREATEST` or `NAME=LEAST..GREATEST:STEP`."""
    name, mark, size = text.rpartition("=")
    span, colon, step = size.partition(":")
    ends = span.split("..")
    good = all(n.isascii() and n.isdigit() for n in (*ends, *([step] if colon else [])))
    if not (mark and name and good and len(ends) <= 2) or (colon and len(ends) < 2):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=SIZE, NAME=LEAST..GREATEST or NAME=LEAST..GREATEST:STEP"
        )
    if len(ends) == 1:
        return name, int(size)
    low, high = map(int, ends)
    if low > high:
        raise argparse.ArgumentTypeError(f"{text!r}: the range is empty")
    if not colon:
        return name, (low, high)
    if not int(step) or low % int(step) or high % int(step):
        raise argparse.ArgumentTypeError(f"{text!r}: its ends are no multiples of {step}")
    return name, (low, high, int(step))


def threads(text: str) -> int:
    """A number of threads, 0 for all processors."""
    if not (text.isascii() and text.isdigit() and int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of threads (0 to 1024)")
    return int(text)


def named_files(texts: Sequence[str]) -> dict[str, str]:
    """The files given by -i NAME=FILE.npy; UsageError for other texts and names given twice."""
    named: dict[str, str] = {}
    for text in texts:
        name, mark, path = text.partition("=")
        if not (name and mark and path):
            raise UsageError(f"--input {text}: not NAME=FILE.npy")
        if name in named:
            raise UsageError(f"--input {name} is given twice")
        named[name] = path
    return named


def open_dims_of(options: Any) -> dict[str, int | Range]:
    """The sizes and ranges given by --dim; UsageError if one is given twice."""
    sizes: dict[str, int | Range] = {}
    for name, size in options.dims:
        if name in sizes:
            raise UsageError(f"--dim {name} is given twice")
        sizes[name] = size
    return sizes


def dims_of(options: Any) -> dict[str, int]:
    """The sizes given by --dim; UsageError if one is given twice or is a range."""
    sizes: dict[str, int] = {}
    for name, size in open_dims_of(options).items():
        if isinstance(size, tuple):
            raise UsageError(
                f"--dim {name}={size[0]}..{size[1]}: give one size here; only `tensorkiln compile` takes ranges"
            )
        sizes[name] = size
    return sizes


def sizes_at(model: Executable | OpenExecutable, sizes: Mapping[str, int]) -> Signature:
    """The inputs and outputs of a loaded model: of one for a range, at `sizes`, else the smallest.

    UsageError for sizes that the model does not have.
    """
    if not isinstance(model, OpenExecutable):
        if sizes:
            raise UsageError("--dim is for models that were compiled for a range of sizes")
        return model.inputs, model.outputs
    unknown = sorted(set(sizes) - {size.name for size in model.sizes.ranges})
    if unknown:
        has = ", ".join(map(str, model.sizes.ranges))
        raise UsageError(f"--dim {unknown[0]}: the model's open sizes are {has}")
    return model.at({size.name: sizes.get(size.name, size.minimum) for size in model.sizes.ranges})
