"""`tf.flags`: command-line flags that a program defines where it uses them.

The rules and messages are those of the absl library, whose flags TensorFlow 1 uses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from tensorkiln.frontends.graph.flag_values import (
    DuplicateFlagError,
    Error,
    Flag,
    FlagValues,
    IllegalFlagValueError,
    UnparsedFlagAccessError,
    UnrecognizedFlagError,
)  # fmt: skip
from tensorkiln.frontends.graph.location import user_location

FLAGS = FlagValues()
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")


def _define(
    name: str,
    default: object,
    help: str,
    parse: Callable[[str], Any],
    flag_values: FlagValues | None = None,
    **options: Any,
) -> None:
    module = user_location("").file
    if module == getattr(sys.modules["__main__"], "__file__", None):
        module = sys.argv[0]
    flag = Flag(name, default, help or "", parse, module=module, **options)
    (FLAGS if flag_values is None else flag_values).add(flag)


def _boolean(text: object) -> bool:
    word = str(text).lower()
    if isinstance(text, bool) or word in (*_TRUE, *_FALSE):
        return word in _TRUE
    raise ValueError("Non-boolean argument to boolean flag", text)


def _integer(text: object) -> int:
    if isinstance(text, str):
        lowered = text.lower()
        return int(text, 16 if lowered.startswith("0x") else 8 if lowered.startswith("0o") else 10)
    if isinstance(text, bool) or int(text) != text:  # type: ignore[call-overload]
        raise TypeError(f"Expect argument to be a string or int, found {type(text)}")
    return int(text)  # type: ignore[call-overload, no-any-return]


def _float(text: object) -> float:
    return float(text)  # type: ignore[arg-type]


def _items(text: object) -> list[str]:
    if isinstance(text, list):
        return text
    return [item.strip() for item in str(text).split(",")] if text else []


def _bounded(
    parse: Callable[[str], Any], word: str, low: float | None, high: float | None
) -> tuple[Callable[[str], Any], str]:
    """A parser that keeps to the bounds, and what help says of them."""
    article = "an" if word == "integer" else "a"
    if low is not None and high is not None:
        kind = f"{article} {word} in the range [{low}, {high}]"
    elif low in (0, 1) and word == "integer":
        kind = f"a {'positive' if low else 'non-negative'} {word}"
    elif low is not None:
        kind = f"{article} {word} >= {low}" if low else f"a non-negative {word}"
    elif high is not None:
        kind = f"{article} {word} <= {high}" if high else f"a non-positive {word}"
    else:
        return parse, f"{article} {word}"

    def read(text: str) -> Any:
        value = parse(text)
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"{value} is not {kind}")
        return value

    return read, kind


def DEFINE_string(name: str, default: str | None, help: str, **options: Any) -> None:
    """A flag of any text."""
    _define(name, default, help, str, **options)


def DEFINE_integer(
    name: str, default: int | None, help: str, lower_bound: int | None = None,
    upper_bound: int | None = None, **options: Any,
) -> None:  # fmt: skip
    """A flag of an integer."""
    parse, kind = _bounded(_integer, "integer", lower_bound, upper_bound)
    _define(name, default, help, parse, kind=kind, **options)


def DEFINE_float(
    name: str, default: float | None, help: str, lower_bound: float | None = None,
    upper_bound: float | None = None, **options: Any,
) -> None:  # fmt: skip
    """A flag of a number."""
    parse, kind = _bounded(_float, "number", lower_bound, upper_bound)
    _define(name, default, help, parse, kind=kind, **options)


def DEFINE_boolean(name: str, default: bool | None, help: str, **options: Any) -> None:
    """A flag that is on (`--name`) or off (`--noname`)."""
    _define(name, default, help, _boolean, boolean=True, **options)


DEFINE_bool = DEFINE_boolean


def DEFINE_enum(
    name: str, default: str | None, enum_values: Sequence[str], help: str, **options: Any
) -> None:
    """A flag of one of several words."""
    allowed = "|".join(enum_values)

    def parse(text: str) -> str:
        if text not in enum_values:
            raise ValueError(f"value should be one of <{allowed}>")
        return text

    _define(name, default, f"<{allowed}>: {help}", parse, **options)


def DEFINE_list(name: str, default: object, help: str, **options: Any) -> None:
    """A flag of words with commas between them."""
    _define(name, default, help, _items, kind="a comma separated list", **options)


def DEFINE_multi_string(name: str, default: object, help: str, **options: Any) -> None:
    """A flag that may be given several times; the value is the list of texts."""
    kind = "repeat this option to specify a list of values"
    _define(name, default, help, str, kind=kind, multiple=True, **options)


def DEFINE_multi_integer(name: str, default: object, help: str, **options: Any) -> None:
    """A flag that may be given several times; the value is the list of integers."""
    kind = "an integer; repeat this option to specify a list of values"
    _define(name, default, help, _integer, kind=kind, multiple=True, **options)


def DEFINE_multi_float(name: str, default: object, help: str, **options: Any) -> None:
    """A flag that may be given several times; the value is the list of numbers."""
    kind = "a number; repeat this option to specify a list of values"
    _define(name, default, help, _float, kind=kind, multiple=True, **options)


def register_validator(
    flag_name: str,
    checker: Callable[[Any], object],
    message: str = "Flag validation failed",
    flag_values: FlagValues | None = None,
) -> None:
    """Lets the command line be refused unless `checker` of the flag's value is true."""
    (FLAGS if flag_values is None else flag_values)[flag_name].checks.append((checker, message))


def mark_flag_as_required(flag_name: str, flag_values: FlagValues | None = None) -> None:
    """Refuses a command line that leaves the flag None."""
    message = f"Flag --{flag_name} must have a value other than None."
    register_validator(flag_name, lambda value: value is not None, message, flag_values)


def mark_flags_as_required(
    flag_names: Sequence[str], flag_values: FlagValues | None = None
) -> None:
    """Refuses a command line that leaves one of the flags None."""
    for name in flag_names:
        mark_flag_as_required(name, flag_values)
