"""`tf.app`: running a program's `main` with its flags."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from tensorkiln import flags
from tensorkiln.frontends.graph.flag_values import Error

_HELP = ("help", "helpshort", "helpfull")


def run(
    main: Callable[[list[str]], Any] | None = None, argv: Sequence[str] | None = None
) -> NoReturn:
    """Reads the flags, then ends the process with what `main(argv)` returns.

    Unknown flags stay in `argv`.  A wrong value ends it with status 1 and a message, `--help` with
    a list of the flags.
    """
    module = sys.modules["__main__"]
    called = main if main is not None else module.main
    given = list(sys.argv if argv is None else argv)
    if any(item.lstrip("-") in _HELP and item.startswith("-") for item in given[1:]):
        _print_help(module.__doc__ or "", given[0])
        sys.exit(1)
    try:
        left = flags.FLAGS(given, known_only=True)
    except Error as error:
        text = str(error)
        shown = f"\n{textwrap.indent(text, '  ')}" if "\n" in text else f" {text}"
        sys.stderr.write(
            f"FATAL Flags parsing error:{shown}\nPass --helpshort or --helpfull to see help on "
            "flags.\n"
        )
        sys.exit(1)
    sys.exit(called(left))


def _print_help(text: str, program: str) -> None:
    about = text.strip() or f"USAGE: {program} [flags]"
    print(
        f"\n{about}\nflags:\n{flags.FLAGS.get_help()}\n\nTry --helpfull to get a list of all flags."
    )
