"""`python -m tensorkiln.frontends.cli.opt`: runs named passes on the text of tensor IR.

opt --passes canonicalize,fold_constants model.txt
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.parse import parse_module
from tensorkiln.compiler.ir.text import print_function
from tensorkiln.compiler.ir.verify import verify_function
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.passes import PASSES
from tensorkiln.runtime.errors import TensorKilnError

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if the text is malformed or not well formed; 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(PASSES))
        return 0
    names = [name for name in options.passes.split(",") if name]
    unknown = [name for name in names if name not in PASSES]
    if unknown:
        known = ", ".join(PASSES)
        return _fail(f"no pass is named {', '.join(unknown)}; there are {known}", USAGE_ERROR)
    try:
        text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text("utf-8")
        functions = [run_passes(function, names) for function in parse_module(text)]
    except (OSError, UnicodeDecodeError, TensorKilnError) as error:
        return _fail(f"{options.file}: {error}", 1)
    print("\n".join(print_function(f, options.elide) for f in functions), end="")
    return 0


def run_passes(function: Function, names: Sequence[str]) -> Function:
    """The function after the named passes; VerifyError if it is not well formed at some point."""
    verify_function(function, REGISTRY.types)
    for name in names:
        function = PASSES[name](function)
        verify_function(function, REGISTRY.types)
    return function


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tensorkiln-opt", description="Runs named passes on the text of tensor IR."
    )
    parser.add_argument("file", nargs="?", default="-", help="a file of functions; - for stdin")
    parser.add_argument("--passes", default="", help="names with commas between, run in order")
    parser.add_argument("--list", action="store_true", help="print the names of all passes")
    parser.add_argument(
        "--elide", type=int, default=None, metavar="N",
        help="shorten arrays of more than N elements; what is printed does not parse then",
    )  # fmt: skip
    return parser


def _fail(message: str, code: int) -> int:
    print(f"tensorkiln-opt: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
