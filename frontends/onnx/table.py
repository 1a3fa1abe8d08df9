"""The lowerings of ONNX operators by domain, operator and the opset versions they hold for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tensorkiln.frontends.onnx.node import Lower


@dataclass(frozen=True, slots=True)
class Lowering:
    """How one operator becomes tensor IR, from opset `since` on until a later entry takes over.

    `lower(node)` gives the node's results in order, each a value, an array known at import, or
    an operand passed on; results at the end that nobody asked for may be left out.
    """

    name: str
    lower: Lower
    since: int = 1
    domain: str = ""


class Table:
    """Lowerings, looked up by operator and version."""

    def __init__(self, entries: Iterable[Lowering]) -> None:
        self._entries: dict[tuple[str, str], list[Lowering]] = {}
        for entry in entries:
            history = self._entries.setdefault((entry.domain, entry.name), [])
            if any(other.since == entry.since for other in history):
                raise ValueError(f"two lowerings of {entry.name} since {entry.since}")
            history.append(entry)

    def find(self, domain: str, name: str, version: int) -> Lower | None:
        """The newest lowering not newer than opset `version`; None if there is none."""
        valid = [e for e in self._entries.get((domain, name), ()) if e.since <= version]
        return max(valid, key=lambda entry: entry.since).lower if valid else None

    def operators(self) -> list[tuple[str, str]]:
        """Every (domain, operator), sorted."""
        return sorted(self._entries)
