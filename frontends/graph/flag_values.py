"""Flags of a command line and their values.

The rules and messages are those of the absl library, whose flags TensorFlow 1 uses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any


class Error(Exception):
    """Anything wrong with flags."""


class IllegalFlagValueError(Error):
    """A value that the flag cannot take."""


class UnrecognizedFlagError(Error):
    """A flag that is not defined."""

    def __init__(self, flagname: str, flagvalue: str = "", suggestions: Sequence[str] = ()) -> None:
        self.flagname, self.flagvalue = flagname, flagvalue
        tip = f". Did you mean: {', '.join(suggestions)} ?" if suggestions else ""
        super().__init__(f"Unknown command line flag '{flagname}'{tip}")


class DuplicateFlagError(Error):
    """A flag that is defined twice."""


class UnparsedFlagAccessError(Error):
    """A flag that is read before the command line was."""


@dataclass
class Flag:
    """One flag: how its text is read (`parse`), what help says of its values (`kind`)."""

    name: str
    value: Any
    help: str
    parse: Callable[[str], Any]
    kind: str = ""
    boolean: bool = False
    multiple: bool = False
    short_name: str | None = None
    module: str = ""
    present: int = 0
    default: Any = None
    checks: list[tuple[Callable[[Any], object], str]] = field(default_factory=list)

    def set(self, text: str) -> None:
        """Takes the value from the command line."""
        found = self.read(text)
        if self.multiple:
            found = [*(self.value if self.present else []), *found]
        self.value = found
        self.present += 1

    def read(self, value: Any) -> Any:
        """A value of the flag's type; IllegalFlagValueError if there is none."""
        if value is None:
            return None
        try:
            if self.multiple:
                return [self.parse(v) for v in (value if isinstance(value, list) else [value])]
            return self.parse(value)
        except (ValueError, TypeError) as error:
            raise IllegalFlagValueError(f"flag --{self.name}={value}: {error}") from None


class FlagValues:
    """All flags and their values: `FLAGS.name` reads the command line when it is first used."""

    def __init__(self) -> None:
        object.__setattr__(self, "_flags", {})
        object.__setattr__(self, "_parsed", False)

    def __call__(self, argv: Sequence[str], known_only: bool = False) -> list[str]:
        """Takes the flags from `argv`; returns its first item and what is left.

        Flags may stand behind other arguments; `--` ends them.  UnrecognizedFlagError for unknown
        flags, unless `known_only`, which leaves them, and the `--`.
        """
        if not argv:
            raise ValueError("argv cannot be an empty list")
        waiting, left = list(argv[1:]), []
        while waiting:
            argument = waiting.pop(0)
            if argument == "--":
                left += ["--"] if known_only else []
                break
            if not argument.startswith("-") or argument == "-":
                left.append(argument)
                continue
            if not self._take(argument, waiting):
                if not known_only:
                    name, _, value = argument.lstrip("-").partition("=")
                    raise UnrecognizedFlagError(
                        name, value, get_close_matches(name, list(self._flags), 3, 0.75)
                    )
                left.append(argument)
        object.__setattr__(self, "_parsed", True)
        self._check()
        return [argv[0], *left, *waiting]

    def _take(self, argument: str, waiting: list[str]) -> bool:
        """Sets the flag that `argument` names, with its value from `waiting` if need be."""
        name, equals, value = argument.removeprefix("-").removeprefix("-").partition("=")
        flag = self._find(name)
        if flag is None:
            flag = self._find(name[2:]) if name.startswith("no") else None
            if flag is None or not flag.boolean:
                return False
            if equals:
                raise IllegalFlagValueError(f"flag --{name}={value}: no value may be given")
            flag.set("false")
        elif equals:
            flag.set(value)
        elif flag.boolean:
            flag.set("true")
        elif waiting:
            flag.set(waiting.pop(0))
        else:
            raise Error(f"Missing value for flag {argument}")
        return True

    def _find(self, name: str) -> Flag | None:
        found: Flag | None = self._flags.get(name)
        if found is None:
            found = next((f for f in self._flags.values() if f.short_name == name), None)
        return found

    def _check(self) -> None:
        for flag in self._flags.values():
            for check, message in flag.checks:
                if not check(flag.value):
                    raise IllegalFlagValueError(f"flag --{flag.name}={flag.value}: {message}")

    def add(self, flag: Flag) -> None:
        """Defines a flag; DuplicateFlagError if another file has defined it."""
        known = self._flags.get(flag.name)
        if known is not None and known.module != flag.module:
            raise DuplicateFlagError(
                f"The flag '{flag.name}' is defined twice. First from {known.module}, Second from "
                f"{flag.module}.  Description from first occurrence: {known.help}"
            )
        flag.value = flag.default = flag.read(flag.value)
        self._flags[flag.name] = flag

    def is_parsed(self) -> bool:
        """True once the command line was read."""
        return bool(self._parsed)

    def mark_as_parsed(self) -> None:
        """Lets flags be read without a command line."""
        object.__setattr__(self, "_parsed", True)

    def unparse_flags(self) -> None:
        """Makes the next use of a flag read the command line again."""
        object.__setattr__(self, "_parsed", False)

    def _parse_flags(self, args: Sequence[str] | None = None) -> list[str]:
        return self(sys.argv if args is None else ["", *args], known_only=True)

    def flag_values_dict(self) -> dict[str, Any]:
        """The values by name."""
        return {name: flag.value for name, flag in self._flags.items()}

    def get_flag_value(self, name: str, default: object) -> object:
        """The value, `default` in place of None."""
        value = getattr(self, name)
        return default if value is None else value

    def set_default(self, name: str, value: object) -> None:
        """Changes a default, and the value unless the command line gave one."""
        flag = self[name]
        flag.default = flag.read(value)
        if not flag.present:
            flag.value = flag.default

    def get_help(self) -> str:
        """What `--help` prints about the flags, by the files that define them."""
        lines: list[str] = []
        for module in sorted({flag.module for flag in self._flags.values()}):
            lines += ["", f"{module}:"]
            flags = [f for f in self._flags.values() if f.module == module]
            for flag in sorted(flags, key=lambda f: f.name):
                short = f"-{flag.short_name}," if flag.short_name else ""
                lines.append(f"  {short}--{'[no]' if flag.boolean else ''}{flag.name}: {flag.help}")
                if flag.default is not None:
                    lines.append(f"    (default: {_shown(flag.default)})")
                if flag.kind:
                    lines.append(f"    ({flag.kind})")
        return "\n".join(lines)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not self._parsed:
            self(sys.argv)
        if name not in self._flags:
            raise AttributeError(name)
        return self._flags[name].value

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self._flags:
            raise AttributeError(name)
        self._flags[name].value = value

    def __delattr__(self, name: str) -> None:
        if name not in self._flags:
            raise AttributeError(name)
        del self._flags[name]

    def __getitem__(self, name: str) -> Flag:
        found: Flag = self._flags[name]
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._flags

    def __iter__(self) -> Iterator[str]:
        return iter(self._flags)

    def __len__(self) -> int:
        return len(self._flags)

    def __dir__(self) -> list[str]:
        return sorted([*self._flags, "flag_values_dict", "is_parsed"])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return f"'{str(value).lower()}'"
    return f"'{','.join(map(str, value))}'" if isinstance(value, list) else f"'{value}'"
