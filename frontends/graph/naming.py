"""Unique names and name scopes of one graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_OP_NAME = re.compile(r"^[A-Za-z0-9.][A-Za-z0-9_.\\\-/]*$")
_SCOPE_NAME = re.compile(r"^[A-Za-z0-9_.\\\-/]*$")


class Names:
    """The names in use and the current scope (`a/b`, without a slash at the end)."""

    def __init__(self) -> None:
        self.scope = ""
        self._uses: dict[str, int] = {}

    @property
    def uses(self) -> dict[str, int]:
        """How often each name, in lower case, was asked for; a copy."""
        return dict(self._uses)

    @uses.setter
    def uses(self, uses: Mapping[str, int]) -> None:
        self._uses = dict(uses)

    def unique(self, name: str, mark_as_used: bool = True) -> str:
        """`name` in the current scope, with `_1`, `_2` ... if it is taken (ignoring case)."""
        if self.scope:
            name = f"{self.scope}/{name}"
        key = name.lower()
        count = self._uses.get(key, 0)
        if mark_as_used:
            self._uses[key] = count + 1
        if count == 0:
            return name
        candidate = key
        while candidate in self._uses:
            candidate = f"{key}_{count}"
            count += 1
        if mark_as_used:
            self._uses[candidate] = 1
        return f"{name}_{count - 1}"

    def of_op(self, name: str) -> str:
        """The name of a new op: exactly what stands before a slash at the end, else a unique one."""
        if not _OP_NAME.match(name):
            raise ValueError(f"'{name}' is not a valid node name")
        if not name.endswith("/"):
            return self.unique(name)
        self._uses.setdefault(name[:-1].lower(), 1)
        return name[:-1]

    @contextmanager
    def enter(self, name: str | None) -> Iterator[str]:
        """Names made inside are in the scope `name`; a slash at the end re-enters exactly that.

        Yields the scope with a slash at the end; None or "" is the graph's root.
        """
        if name:
            pattern = _SCOPE_NAME if self.scope else _OP_NAME
            if not pattern.match(name):
                raise ValueError(f"'{name}' is not a valid scope name")
        before = self.scope
        if not name:
            self.scope = ""
        elif name.endswith("/"):
            self.scope = name[:-1]
        else:
            self.scope = self.unique(name)
        try:
            yield f"{self.scope}/" if self.scope else ""
        finally:
            self.scope = before
