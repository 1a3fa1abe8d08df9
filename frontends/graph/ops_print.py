"""`tf.print`: values printed by a run, as Python's print would."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.frontends.graph import logs
from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.host import HostContext
from tensorkiln.frontends.graph.kinds import OpKind, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.nest import is_nested
from tensorkiln.frontends.graph.operation import Operation

_LEVELS = {
    logs.info: logs.INFO, logs.warn: logs.WARN, logs.error: logs.ERROR, logs.debug: logs.DEBUG,
}  # fmt: skip
# Where a tensor's text goes; inside of structures strings are quoted.
_SLOT, _QUOTED = "\0", "\1"


def print_(*inputs: object, **kwargs: object) -> Operation:
    """An operation that prints its inputs, separated by blanks, when it runs.

    Options: `output_stream` (sys.stderr unless given; sys.stdout, a function of `tf.logging`, or
    `file://` and a path), `summarize` (elements shown at each end of a dim: 3; -1: all), `sep`,
    `end` and `name`.  Nested structures are shown as Python shows them.
    """
    stream = kwargs.pop("output_stream", None)
    name, summarize = kwargs.pop("name", None) or "PrintV2", kwargs.pop("summarize", 3)
    sep, end = str(kwargs.pop("sep", " ")), str(kwargs.pop("end", "\n"))
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {kwargs}")
    if stream is not None and _target(stream) is None:
        raise ValueError(
            f"Unsupported output stream, logging level, or file.{stream}. Supported streams are "
            "sys.stdout, sys.stderr, tf.logging.info, tf.logging.warning, tf.logging.error. File "
            "needs to be in the form of 'file://<filepath>'."
        )
    tensors: list[object] = []
    template = sep.join(_template(item, tensors, False) for item in inputs) + end
    attributes = {
        "template": template, "summarize": 3 if summarize is None else summarize,
        "output_stream": "stderr" if stream is None else _target(stream),
    }  # fmt: skip
    return apply_op("PrintText", ([convert_to_tensor(t) for t in tensors],), str(name), attributes)


def _target(stream: object) -> str | None:
    """The name of an output stream, None for what is none."""
    if stream in (sys.stderr, sys.__stderr__):
        return "stderr"
    if stream in (sys.stdout, sys.__stdout__):
        return "stdout"
    if isinstance(stream, str):
        return stream if stream.startswith("file://") else None
    level = _LEVELS.get(stream) if callable(stream) else None
    return None if level is None else f"log({level})"


def _template(item: object, tensors: list[object], inside: bool) -> str:
    """The text of an input, with a slot for each tensor, which is added to `tensors`."""
    if isinstance(item, Convertible):
        tensors.append(item)
        return _QUOTED if inside else _SLOT
    if isinstance(item, Mapping):
        parts = [f"{key!r}: {_template(value, tensors, True)}" for key, value in item.items()]
        return "{" + ", ".join(parts) + "}"
    if is_nested(item):
        assert isinstance(item, list | tuple)
        parts = [_template(value, tensors, True) for value in item]
        if isinstance(item, list):
            return f"[{', '.join(parts)}]"
        fields = getattr(item, "_fields", None)
        if fields is not None:
            pairs = (f"{f}={p}" for f, p in zip(fields, parts, strict=True))
            return f"{type(item).__name__}({', '.join(pairs)})"
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    return repr(item) if inside or isinstance(item, np.ndarray) else str(item)


def _write(op: Operation, arrays: Sequence[Array]) -> None:
    pieces = re.split(f"([{_SLOT}{_QUOTED}])", op.text("template"))
    slots = zip(pieces[1::2], arrays, strict=True)
    pieces[1::2] = [_shown(a, op.integer("summarize"), slot == _QUOTED) for slot, a in slots]
    text = "".join(pieces)
    target = op.text("output_stream")
    if target.startswith("file://"):
        with open(target.removeprefix("file://"), "a", encoding="utf-8") as file:
            file.write(text)
    elif target.startswith("log("):
        logs.log(int(target[4:-1]), text.removesuffix("\n"))
    else:
        stream: TextIO = sys.stderr if target == "stderr" else sys.stdout
        print(text, end="", file=stream, flush=True)


def _shown(array: Array, limit: int, quoted: bool) -> str:
    """A tensor in brackets, `limit` elements at both ends of each dim."""
    if array.ndim == 0:
        return _element(array.item() if array.dtype == object else array[()], quoted)
    return _rows(array, limit, 1)


def _rows(array: Array, limit: int, depth: int) -> str:
    count = len(array)
    wanted = list(range(count))
    cut = 0 <= 2 * limit < count
    if cut:
        wanted = [*range(limit), *range(count - limit, count)]
    if array.ndim == 1:
        parts = [_element(array[k], True) for k in wanted]
        joint = " "
    else:
        parts = [_rows(array[k], limit, depth + 1) for k in wanted]
        joint = "\n" * (array.ndim - 1) + " " * depth
    if cut:
        parts.insert(limit, "...")
    return f"[{joint.join(parts)}]"


def _element(value: Any, quoted: bool) -> str:
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        return f'"{text}"' if quoted else text
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, float | np.floating):
        few, many = (15, 17) if isinstance(value, float) else (6, 9)
        text = f"{float(value):.{few}g}"
        same = type(value)(text) == value or bool(np.isnan(value))
        return text if same else f"{float(value):.{many}g}"
    return str(value)


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    lowering.after(op, values, lambda arrays: _write(op, _with_texts(op, arrays)))
    return []


def _with_texts(op: Operation, arrays: Sequence[Array]) -> list[Array]:
    """The inputs' values; `arrays` are those that are no string constants."""
    computed = iter(arrays)
    found: list[Array] = []
    for tensor in op.inputs:
        value = tensor.op.attributes["value"] if tensor.dtype.numpy.hasobject else next(computed)
        assert isinstance(value, np.ndarray)
        found.append(value)
    return found


def _host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[object]:
    _write(op, arrays)
    return []


register(
    OpKind("PrintText", "inputs:any*", lambda op: [], _lower, host=_host, texts=True, effects=True,
           differentiable=False),
)  # fmt: skip
