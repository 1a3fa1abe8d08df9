"""Typed fields of a JSON object that comes from a stranger."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from tensorkiln.runtime.errors import ArtifactError

JsonText = str | bytes
LARGEST = 2**48  # bytes of any one buffer: more than a 64-bit processor can map


def parse_fields(text: JsonText, source: str) -> Fields:
    """The object in JSON `text`; `source` names the file in errors (ArtifactError)."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{source}: the manifest is not JSON: {error}") from error
    return Fields(data, source)


class Fields:
    """Takes typed fields out of a JSON object, and knows where it is for errors."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ArtifactError(f"{where}: expected an object in the manifest")
        self._data = dict(data)
        self.where = where

    def _take(self, key: str) -> Any:
        if key not in self._data:
            raise ArtifactError(f"{self.where}: the manifest lacks {key!r}")
        return self._data.pop(key)

    def fail(self, key: str, expected: str) -> ArtifactError:
        """The error for a field that is not what was expected."""
        return ArtifactError(f"{self.where}: {key!r} in the manifest is not {expected}")

    def text(self, key: str) -> str:
        """A string."""
        value = self._take(key)
        if not isinstance(value, str):
            raise self.fail(key, "a string")
        return value

    def optional_text(self, key: str) -> str | None:
        """A string or null."""
        value = self._take(key)
        if value is not None and not isinstance(value, str):
            raise self.fail(key, "a string or null")
        return value

    def count(self, key: str) -> int:
        """An integer from 0 to 2^63 - 1."""
        value = self._take(key)
        if type(value) is not int or not 0 <= value < 2**63:
            raise self.fail(key, "a count")
        return value

    def size(self, key: str) -> int:
        """A count of bytes below `LARGEST`."""
        value = self.count(key)
        if value >= LARGEST:
            raise self.fail(key, f"a size below {LARGEST} bytes")
        return value

    def optional_count(self, key: str) -> int | None:
        """A count or null."""
        if key in self._data and self._data[key] is None:
            del self._data[key]
            return None
        return self.count(key)

    def counts(self, key: str) -> tuple[int, ...]:
        """A list of counts."""
        values = self._take(key)
        if not isinstance(values, list) or not all(type(v) is int and v >= 0 for v in values):
            raise self.fail(key, "a list of counts")
        return tuple(values)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self._take(key)
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise self.fail(key, "a list of strings")
        return tuple(values)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._take(key)
        if not isinstance(value, bool):
            raise self.fail(key, "true or false")
        return value

    def objects(self, key: str) -> list[Fields]:
        """A list of objects."""
        values = self._take(key)
        if not isinstance(values, list):
            raise self.fail(key, "a list")
        return [Fields(value, f"{self.where}: {key}[{i}]") for i, value in enumerate(values)]

    def integer(self, key: str) -> int:
        """An integer of 64 bits with a sign."""
        value = self._take(key)
        if type(value) is not int or abs(value) >= 2**63:
            raise self.fail(key, "an integer")
        return value

    def lists(self, key: str) -> list[list[Fields]]:
        """A list of lists of objects."""
        values = self._take(key)
        if not isinstance(values, list) or not all(isinstance(v, list) for v in values):
            raise self.fail(key, "a list of lists")
        where = f"{self.where}: {key}"
        return [[Fields(item, where) for item in value] for value in values]

    def pairs(self, key: str) -> list[Fields]:
        """A list of pairs, each as an object of its two members "0" and "1"."""
        values = self._take(key)
        if not isinstance(values, list) or not all(
            isinstance(v, list) and len(v) == 2 for v in values
        ):
            raise self.fail(key, "a list of pairs")
        where = f"{self.where}: {key}"
        return [Fields({"0": first, "1": second}, where) for first, second in values]

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._take(key)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self.fail(key, "a number")
        return float(value)

    def object(self, key: str) -> Fields:
        """An object."""
        return Fields(self._take(key), f"{self.where}: {key}")

    def optional_object(self, key: str) -> Fields | None:
        """An object or null."""
        value = self._take(key)
        return None if value is None else Fields(value, f"{self.where}: {key}")

    def end(self) -> None:
        """ArtifactError if there are fields that nobody has taken."""
        if self._data:
            names = ", ".join(map(repr, self._data))
            raise ArtifactError(f"{self.where}: the manifest has unknown fields {names}")
