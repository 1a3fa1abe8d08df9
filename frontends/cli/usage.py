"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tensorkiln.compiler.cache import Cache, default_cache
from tensorkiln.compiler.codegen.target import NAMES
from tensorkiln.runtime.executable import Executable
from tensorkiln.runtime.manifest import TensorSpec
from tensorkiln.runtime.open_executable import OpenExecutable

Signature: TypeAlias = tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class UsageError(Exception):
    """Arguments that do not fit together, found after they were parsed."""


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
        " such as batch=1..64; may be repeated",
    )  # fmt: skip


def add_winograd(parser: argparse.ArgumentParser) -> None:
    """Adds --no-winograd."""
    parser.add_argument(
        "--no-winograd", action="store_const", const=("winograd",), default=(), dest="without",
        help="compute 3x3 convolutions directly: slower, but with a quarter of the weights'"
        " memory and the rounding of a plain sum",
    )  # fmt: skip


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


def dim(text: str) -> tuple[str, int | tuple[int, int]]:
    """`NAME=SIZE` or `NAME=LEAST..GREATEST`."""
    name, mark, size = text.rpartition("=")
    ends = size.split("..")
    good = all(end.isascii() and end.isdigit() for end in ends)
    if not (mark and name and good and len(ends) <= 2):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=SIZE or NAME=LEAST..GREATEST")
    if len(ends) == 1:
        return name, int(size)
    if int(ends[0]) > int(ends[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: the range is empty")
    return name, (int(ends[0]), int(ends[1]))


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


def open_dims_of(options: Any) -> dict[str, int | tuple[int, int]]:
    """The sizes and ranges given by --dim; UsageError if one is given twice."""
    sizes: dict[str, int | tuple[int, int]] = {}
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
                f"--dim {name}={size[0]}..{size[1]}: give one size here; `tensorkiln compile` takes"
                " ranges, but not with --train or --self-test"
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
