"""Operators that look into texts, run by Python; texts are objects of type str."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Array
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.runtime.errors import FeedError, ModelError

_CASES: dict[str, Callable[[str], str]] = {"LOWER": str.lower, "UPPER": str.upper, "NONE": str}


def concatenated(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """StringConcat: texts one behind the other, broadcast."""
    try:
        spread = np.broadcast_arrays(arrays[0], arrays[1])
    except ValueError:
        shapes = " and ".join(str(list(a.shape)) for a in arrays[:2])
        raise FeedError(f"{node}: its inputs of shape {shapes} do not broadcast") from None
    pairs = zip(*(array.reshape(-1).tolist() for array in spread), strict=True)
    return [_objects((a + b for a, b in pairs), spread[0].shape)]


def split(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """StringSplit: the parts, filled up with empty texts, and how many each text has."""
    # An empty delimiter is white space of any length, as for str.split.
    delimiter = node.string("delimiter", "") or None
    most = node.integer("maxsplit") if node.given("maxsplit") else -1
    found = [text.split(delimiter, most) for text in arrays[0].reshape(-1).tolist()]
    widest = max(map(len, found), default=0)
    filled = (text for parts in found for text in (*parts, *[""] * (widest - len(parts))))
    shape = arrays[0].shape
    counts = np.array(list(map(len, found)), np.int64).reshape(shape)
    return [_objects(filled, (*shape, widest)), counts]


def normalized(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """StringNormalizer: without stopwords, in one case; one empty text where nothing is left."""
    (x,) = arrays
    if x.ndim > 2 or x.ndim == 0 or (x.ndim == 2 and x.shape[0] != 1):
        raise FeedError(f"{node}: its input has shape {list(x.shape)}, not [C] or [1, C]")
    action = node.string("case_change_action", "NONE")
    if action not in _CASES:
        raise node.invalid(f"case_change_action is {action!r}, not one of {', '.join(_CASES)}")
    # What is compared is cased the same way on both sides.
    key = str if node.integer("is_case_sensitive") else str.lower
    stopwords = {key(word) for word in node.strings("stopwords")} if node.given("stopwords") else ()
    kept = [_CASES[action](text) for text in x.reshape(-1).tolist() if key(text) not in stopwords]
    kept = kept or [""]
    return [_objects(kept, (*x.shape[:-1], len(kept)))]


def matched(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """RegexFullMatch, by Python's `re` with classes of ASCII as in RE2; what only RE2 knows is refused."""
    pattern = node.string("pattern")
    try:
        # RE2's classes and word borders are those of ASCII
        regex = re.compile(pattern, re.ASCII)
    except re.error as error:
        raise node.unsupported(f"its pattern {pattern!r} cannot be read: {error}") from None
    (x,) = arrays
    hits = [regex.fullmatch(text) is not None for text in x.reshape(-1).tolist()]
    return [np.array(hits, np.bool_).reshape(x.shape)]


def written(node: Node, array: Array) -> Array:
    """Cast of numbers to texts: integers in decimal, floats as short as they read back, INF and NaN."""
    del node
    flat = array.reshape(-1)
    if array.dtype.kind == "b":
        return _objects(("1" if item else "0" for item in flat.tolist()), array.shape)
    if array.dtype.kind in "iu":
        return _objects(map(str, flat.tolist()), array.shape)
    # a narrow float that numpy does not know is written as the f32 that it is
    known = array if array.dtype.kind == "f" else array.astype(np.float32)
    numbers = (known.dtype.type(item) for item in known.reshape(-1))
    return _objects(map(_written, numbers), array.shape)


def _written(number: Any) -> str:
    if np.isnan(number):
        return "NaN"
    if np.isinf(number):
        return "INF" if number > 0 else "-INF"
    text = np.format_float_scientific(number, trim="-", exp_digits=1, unique=True)
    mantissa, _, exponent = text.partition("e")
    if -5 <= int(exponent) < 16:
        return str(np.format_float_positional(number, trim="-", unique=True))
    return f"{mantissa}e{int(exponent):+03d}"


def read(node: Node, array: Array, dtype: DType) -> Array:
    """Cast of texts to numbers; FeedError names a text that is none or does not fit."""
    flat = array.reshape(-1).tolist()
    if dtype.is_float:
        values = np.array([_number(node, text, float) for text in flat], np.float64)
        return values.astype(dtype.numpy).reshape(array.shape)
    integers = [_number(node, text, int) for text in flat]
    low = -(1 << dtype.bits - 1) if dtype.is_signed else 0
    high = low + (1 << dtype.bits)
    for text, number in zip(flat, integers, strict=True):
        if not low <= number < high:
            raise FeedError(f"{node}: {text[:60]!r} does not fit {dtype}")
    wide = np.array(integers, np.int64 if dtype.is_signed else np.uint64)
    return wide.astype(dtype.numpy).reshape(array.shape)


def _number(node: Node, text: str, kind: Callable[[str], float]) -> float:
    try:
        if "_" not in text:  # which Python allows between digits
            return kind(text)
    except ValueError:
        pass
    raise FeedError(f"{node}: {text[:60]!r} is no number")


def _objects(texts: Iterable[str], shape: Sequence[int]) -> Array:
    items = list(texts)
    found = np.empty(len(items), object)
    found[:] = items
    return found.reshape(shape)


def check_text(node: Node, arrays: Sequence[Array]) -> None:
    """ModelError where an input is not of texts."""
    if any(array.dtype != object for array in arrays):
        raise ModelError(f"{node}: its inputs must be texts")
