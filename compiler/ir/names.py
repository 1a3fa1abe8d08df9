"""How names and strings are spelled in the text forms."""

from __future__ import annotations

import re

from tensorkiln.compiler.ir.dtypes import is_dtype_name

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_VALUE = re.compile(r"[\w.]+", re.ASCII)
RESERVED = frozenset(("true", "false", "inf", "nan"))


def quote(text: str) -> str:
    """A double-quoted string with backslash escapes, ASCII only."""
    body = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{body}"'


def is_identifier(name: str) -> bool:
    """True if `name` can stand in text without quotes (unless a keyword forbids it)."""
    return _IDENTIFIER.fullmatch(name) is not None


def spell(sigil: str, name: str) -> str:
    """A name behind its sign (`%x`, `@main`), in quotes where it holds odd characters."""
    return f"{sigil}{name if _VALUE.fullmatch(name) else quote(name)}"


def spell_symbol(name: str) -> str:
    """The name of a symbolic size: plain, or behind `$` where it would read as something else."""
    plain = is_identifier(name) and name not in RESERVED and not is_dtype_name(name)
    return name if plain else spell("$", name)
