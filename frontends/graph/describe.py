"""Arrays as the short texts that TensorFlow's assertions and Print show."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.frontends.graph.arrays import Array

_ESCAPES = {0x0A: r"\n", 0x0D: r"\r", 0x09: r"\t", 0x22: r"\"", 0x27: r"\'", 0x5C: r"\\"}


def summarize(array: Array, limit: int) -> str:
    """The first `limit` elements (all if negative), rows in brackets, `...` for what is left out."""
    most = array.size if limit < 0 else limit
    flat = [_element(item) for item in array.reshape(-1)[:most]]
    text = "".join(_rows(array.shape, flat, [0])) if array.ndim else " ".join(flat)
    return f"{text}..." if array.size > most else text


def _rows(shape: tuple[int, ...], flat: list[str], place: list[int]) -> list[str]:
    """The parts of one dim's text; `place` counts the elements used."""
    parts: list[str] = []
    if len(shape) == 1:
        row = flat[place[0] : place[0] + shape[0]]
        place[0] += len(row)
        parts.append(" ".join(row))
        return parts
    for _ in range(shape[0]):
        if place[0] >= len(flat):
            break
        before = place[0]
        inner = _rows(shape[1:], flat, place)
        cut = len(shape) == 2 and place[0] - before < shape[1]
        parts += ["[", *inner, "..." if cut else "", "]"]
    return parts


def _element(item: object) -> str:
    if isinstance(item, bytes):
        return "".join(_character(code) for code in item)
    if isinstance(item, np.bool_):
        return str(int(item))
    if isinstance(item, np.integer):
        return str(item)
    if isinstance(item, np.complexfloating):
        return f"({_element(item.real)},{_element(item.imag)})"
    digits = (15, 17) if isinstance(item, np.float64) else (6, 9)
    return _shortest(item, digits)


def _shortest(item: object, digits: tuple[int, int]) -> str:
    """The number with few digits if that gives it back, else with enough."""
    number = float(item)  # type: ignore[arg-type]
    short = f"{number:.{digits[0]}g}"
    kind = np.float64 if digits[0] == 15 else np.float32
    same = kind(short) == kind(number) or math.isnan(number)
    return short if same else f"{number:.{digits[1]}g}"


def _character(code: int) -> str:
    if code in _ESCAPES:
        return _ESCAPES[code]
    return chr(code) if 32 <= code < 127 else f"\\{code:03o}"
