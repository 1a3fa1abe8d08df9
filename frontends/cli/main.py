"""`tensorkiln`: compiles, runs, measures and prints models.

Exit codes, which stay as they are: 0 done; 1 a model, a file or this machine is at fault; 2 wrong
arguments; 3 an error inside TensorKiln; 130 interrupted (Ctrl-C); 143 told to end (SIGTERM).
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any

from tensorkiln import __version__
from tensorkiln.frontends.cli.commands import HELP, UsageError
from tensorkiln.runtime.errors import TensorKilnError

DONE = 0
USER_ERROR = 1
USAGE_ERROR = 2
INTERNAL_ERROR = 3
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

_EXIT_CODES = """exit codes:
  0 done   1 a model, a file or this machine is at fault   2 wrong arguments
  3 an error inside TensorKiln   130 interrupted   143 told to end"""


class _TerminatedError(BaseException):
    """SIGTERM came: files of this run are removed on the way out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser(words).parse_args(words)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(options)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: Any) -> int:
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _fail(error, options.debug, USAGE_ERROR)
    except (TensorKilnError, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):
            return _reader_gone()
        return _fail(_told(error), options.debug, USER_ERROR)
    except KeyboardInterrupt:
        print("tensorkiln: interrupted", file=sys.stderr)
        return INTERRUPTED
    except _TerminatedError:
        return TERMINATED
    except Exception as error:
        hint = "" if options.debug else " (--debug shows where)"
        name = f"internal error: {type(error).__name__}"
        return _fail(f"{name}: {error}{hint}", options.debug, INTERNAL_ERROR)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tensorkiln",
        description="Compiles tensor graphs (ONNX models) ahead of time to machine code.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tensorkiln {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    # Only the one that is asked for is imported: all of them take a second.
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    for name, text in HELP.items():
        if name != chosen:
            commands.add_parser(name, help=text)
            continue
        command = importlib.import_module(f"tensorkiln.frontends.cli.{name}_command")
        made = command.add(commands)
        made.add_argument("-v", "--verbose", action="store_true", help="tell each step on stderr")
        made.add_argument("--debug", action="store_true", help="show where an error comes from")
        made.set_defaults(run=command.run)
    return parser


def _told(error: TensorKilnError | OSError | MemoryError) -> object:
    """The error; that of a file as other messages are, the file first and no number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return error


def _fail(error: object, debug: bool, code: int) -> int:
    """Tells the error in one line."""
    if debug:
        traceback.print_exc()
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"tensorkiln: error: {text}", file=sys.stderr)
    return code


def _reader_gone() -> int:
    """Whoever reads our output, such as `head`, has seen enough: that is no error of ours."""
    # The interpreter flushes stdout when it ends, which must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _TerminatedError


if __name__ == "__main__":
    sys.exit(main())
