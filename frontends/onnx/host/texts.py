"""Texts as numbers: equal texts have equal codes, so tensors of text are tensors of i64 elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tensorkiln.compiler.ir.function import Array

Codes = npt.NDArray[np.int64]


class Texts:
    """Texts in the order in which they were first seen; a text's code is its place."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._texts = list(known)
        self._codes = {text: code for code, text in enumerate(self._texts)}

    def copy(self) -> Texts:
        """The same codes; what is added later is added to one of both only."""
        return Texts(self._texts)

    def code(self, text: str | bytes) -> int:
        """The code of one text, new if it was not seen before."""
        if isinstance(text, bytes):
            # bytes that are no UTF-8 come back as they were
            text = text.decode("utf-8", "surrogateescape")
        found = self._codes.setdefault(text, len(self._texts))
        if found == len(self._texts):
            self._texts.append(text)
        return found

    def encoded(self, array: Array) -> Codes:
        """The codes of an array of text or bytes, in its shape; None and NaN are empty texts."""
        flat = array.reshape(-1).tolist()
        codes = [self.code(item if isinstance(item, str | bytes) else _text(item)) for item in flat]
        return np.array(codes, np.int64).reshape(array.shape)

    def decoded(self, codes: Codes) -> Array:
        """The texts of an array of codes, as objects."""
        found = np.empty(codes.size, object)
        found[:] = [self._texts[code] for code in codes.reshape(-1).tolist()]
        return found.reshape(codes.shape)


def _text(item: object) -> str:
    return "" if item is None or (isinstance(item, float) and math.isnan(item)) else str(item)
