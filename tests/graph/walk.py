"""Small programs and what they say: values, printed text, errors.

`recorded/walk.txt` holds blocks of a title, a function body of the module `tf`, and after `--` what
came out.  A title that ends in `(1.15)` marks texts that are TensorFlow 1.15's or our own; all others are those
of TensorFlow 2.21's compat.v1, where `AddV2` is `Add` and an unknown dim `?`.
"""

from __future__ import annotations

import collections
import contextlib
import io
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent / "recorded" / "walk.txt"
Pair = collections.namedtuple("Pair", "a b")


def read() -> dict[str, tuple[str, str]]:
    """Title to code and text."""
    found = {}
    for block in FILE.read_text(encoding="utf-8").split("\n== ")[1:]:
        title, _, rest = block.partition("\n")
        code, _, text = rest.partition("\n--\n")
        found[title] = (code, text.rstrip("\n"))
    return found


def answer(tf: Any, code: str) -> str:
    """What a program prints, and its value or error, as text without addresses."""
    space: dict[str, Any] = {"np": np, "collections": collections, "Pair": Pair, "ops": ops}
    source = f"def program(tf):\n{textwrap.indent(code, '    ')}"
    exec(compile(source, "program", "exec"), space)
    printed = io.StringIO()
    with tf.Graph().as_default(), contextlib.redirect_stdout(printed):
        try:
            text = show(space["program"](tf))
        except Exception as error:
            message = getattr(error, "message", None) or str(error)
            text = f"{type(error).__name__}: {message}"
    return re.sub(r"0x[0-9a-f]{6,}", "0x..", printed.getvalue() + text).rstrip()


def ops(tf: Any) -> list[tuple[str, str]]:
    return [(op.name, op.type) for op in tf.get_default_graph().get_operations()]


def show(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array({value.tolist()!r}, {value.dtype}, {value.shape})"
    if isinstance(value, np.generic):
        return f"{value.dtype}({value.item()!r})"
    if isinstance(value, dict):
        items = ", ".join(f"{key!r}: {show(item)}" for key, item in value.items())
        return f"{type(value).__name__}({{{items}}})"
    if isinstance(value, list | tuple):
        inside = ", ".join(show(item) for item in value)
        if type(value) in (list, tuple):
            return f"[{inside}]" if isinstance(value, list) else f"({inside})"
        return f"{type(value).__name__}({inside})"
    return value if isinstance(value, str) else repr(value)
