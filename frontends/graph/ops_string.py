"""Strings, which the host works on: tensors of bytes."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import apply_op, graph_of, make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.errors import InvalidArgumentError, NotFoundError
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import Host, OpKind, Result, register
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import axis_in, base
from tensorkiln.frontends.graph.shapes import broadcast
from tensorkiln.frontends.graph.sparse_tensor import SparseTensor
from tensorkiln.frontends.graph.statics import static_integers
from tensorkiln.frontends.graph.tensor import Tensor


def _mapped(function: Callable[..., object], dtype: type = object) -> Host:
    """An op that works on each string by itself; other inputs broadcast against them."""

    def host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
        spread = np.broadcast_arrays(*arrays)
        flat = [array.reshape(-1) for array in spread]
        result = np.empty(spread[0].size, object)
        result[:] = [function(op, *items) for items in zip(*flat, strict=True)]
        return [result.reshape(spread[0].shape).astype(dtype)]

    return host


def _like(dtype: dtypes.DType) -> Callable[[Operation], Sequence[Result]]:
    def infer(op: Operation) -> Sequence[Result]:
        sizes = op.inputs[0].sizes
        for tensor in op.inputs[1:]:
            sizes = broadcast(sizes, tensor.sizes)
        return [(dtype, sizes)]

    return infer


def as_string(
    input: object, precision: int = -1, scientific: bool = False, shortest: bool = False,
    width: int = -1, fill: str = "", name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers as text, floats with six digits behind the point unless `precision` says."""
    return make(
        "AsString", (input,), name, precision=precision, scientific=scientific, shortest=shortest,
        width=width, fill=fill,
    )  # fmt: skip


def _as_string(op: Operation, value: object) -> bytes:
    fill, width = op.text("fill"), op.integer("width")
    flags = fill + (str(width) if width >= 0 else "")
    if base(op.inputs[0]).is_bool:
        return f"{'true' if value else 'false':>{max(width, 0)}}".encode()
    if base(op.inputs[0]).is_integer:
        return f"%{flags}d".__mod__(int(value)).encode()  # type: ignore[call-overload]
    precision = op.integer("precision")
    kind = "e" if op.flag("scientific") else "g" if op.flag("shortest") else "f"
    digits = f".{precision}" if precision >= 0 else ""
    return f"%{flags}{digits}{kind}".__mod__(float(value)).encode()  # type: ignore[arg-type]


def string_to_number(
    string_tensor: object, out_type: object = dtypes.float32, name: str | None = None
) -> Tensor:
    """Text as numbers; InvalidArgumentError for what is none."""
    return make("StringToNumber", (string_tensor,), name, out_type=dtypes.as_dtype(out_type))


def _to_number(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    target = op.outputs[0].dtype
    found = np.empty(arrays[0].shape, target.numpy)
    for place, text in enumerate(arrays[0].reshape(-1).tolist()):
        try:
            number = int(text) if target.is_integer else float(text)
        except ValueError:
            raise InvalidArgumentError(
                op.name, op, f"StringToNumberOp could not correctly convert string: {text.decode()}"
            ) from None
        found.reshape(-1)[place] = number
    return [found]


def string_join(inputs: Sequence[object], separator: str = "", name: str | None = None) -> Tensor:
    """Strings put together, element by element, with a separator between them."""
    return apply_op("StringJoin", (list(inputs),), name, {"separator": separator}).outputs[0]


def string_strip(input: object, name: str | None = None) -> Tensor:
    """Strings without white space at their ends."""
    return make("StringStrip", (input,), name)


def string_lower(input: object, encoding: str = "", name: str | None = None) -> Tensor:
    """Strings in lower case (ASCII letters, or all with encoding utf-8)."""
    return make("StringLower", (input,), name, encoding=encoding)


def string_upper(input: object, encoding: str = "", name: str | None = None) -> Tensor:
    """Strings in upper case (ASCII letters, or all with encoding utf-8)."""
    return make("StringUpper", (input,), name, encoding=encoding)


def string_length(input: object, name: str | None = None, unit: str = "BYTE") -> Tensor:
    """The number of bytes (or of characters with unit UTF8_CHAR) of each string."""
    return make("StringLength", (input,), name, unit=unit)


def substr(
    input: object, pos: object, len: object, name: str | None = None, unit: str = "BYTE"
) -> Tensor:
    """`len` bytes of each string from `pos` on; InvalidArgumentError for a start behind the end."""
    return make("Substr", (input, pos, len), name, unit=unit)


def _substr(op: Operation, text: bytes, start: int, count: int) -> bytes:
    letters: bytes | str = text.decode() if op.text("unit") == "UTF8_CHAR" else text
    if not -len(letters) <= start <= len(letters):
        raise InvalidArgumentError(op.name, op, f"pos {start} out of range for string b{text!r}")
    first = start % len(letters) if start < 0 else start
    part = letters[first : first + count]
    return part.encode() if isinstance(part, str) else part


def regex_replace(
    input: object, pattern: object, rewrite: object, replace_global: bool = True,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Matches of a regular expression replaced; `\\1` stands for the first group."""
    return make("RegexReplace", (input, pattern, rewrite), name, replace_global=replace_global)


def regex_full_match(input: object, pattern: object, name: str | None = None) -> Tensor:
    """Whether a regular expression matches each whole string."""
    return make("RegexFullMatch", (input, pattern), name)


def encode_base64(input: object, pad: bool = False, name: str | None = None) -> Tensor:
    """Strings in the web-safe form of base64."""
    return make("EncodeBase64", (input,), name, pad=pad)


def decode_base64(input: object, name: str | None = None) -> Tensor:
    """What `encode_base64` made of strings."""
    return make("DecodeBase64", (input,), name)


def reduce_join(
    inputs: object, axis: object = None, keep_dims: bool | None = None, separator: str = "",
    name: str | None = None, reduction_indices: object = None, keepdims: bool | None = None,
) -> Tensor:  # fmt: skip
    """Strings joined along `axis` (None: all dims, the last one fastest)."""
    with graph_of([inputs]).name_scope(name or "ReduceJoin"):
        tensor = convert_to_tensor(inputs)
        places = reduction_indices if axis is None else axis
        if places is None:
            places = list(range(len(tensor.sizes or ())))[::-1]
        keep = bool(keep_dims) or bool(keepdims)
        dims = convert_to_tensor(places, dtypes.int32)
        return make("ReduceJoin", (tensor, dims), keep_dims=keep, separator=separator)


def _join_infer(op: Operation) -> Sequence[Result]:
    sizes, axes = op.inputs[0].sizes, static_integers(op.inputs[1])
    if sizes is None or axes is None:
        return [(dtypes.string, None)]
    folded = {axis_in(axis, sizes) for axis in axes}
    kept = [1 if k in folded else s for k, s in enumerate(sizes)]
    if not op.flag("keep_dims"):
        kept = [s for k, s in enumerate(kept) if k not in folded]
    return [(dtypes.string, tuple(kept))]


def _reduce_join(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    text, separator = arrays[0], op.text("separator").encode()
    axes = [int(axis) % text.ndim for axis in arrays[1].reshape(-1).tolist()]
    rest = [k for k in range(text.ndim) if k not in axes]
    moved = text.transpose(*rest, *axes[::-1])  # the first of the axes is joined first
    shape = moved.shape[: len(rest)]
    rows = moved.reshape(int(np.prod(shape)), -1)
    joined = np.empty(len(rows), object)
    joined[:] = [separator.join(row.tolist()) for row in rows]
    result = joined.reshape(shape)
    return [np.expand_dims(result, tuple(sorted(axes))) if op.flag("keep_dims") else result]


def string_split(
    source: object, sep: str | None = None, skip_empty: bool = True, delimiter: str | None = None
) -> SparseTensor:
    """The words of each string of a vector as a row of a SparseTensor; `delimiter` is a set of
    characters (a blank unless given), '' splits into bytes."""
    marks = " " if sep is None and delimiter is None else (delimiter if sep is None else sep)
    with graph_of([source]).name_scope("StringSplit"):
        attributes = {"skip_empty": skip_empty}
        outputs = apply_op("StringSplit", (source, marks), None, attributes).outputs
        return SparseTensor(*outputs)


def _split_infer(op: Operation) -> Sequence[Result]:
    return [(dtypes.int64, (None, 2)), (dtypes.string, (None,)), (dtypes.int64, (2,))]


def _split(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    marks = bytes(arrays[1].item())
    rows = [_words(text, marks, op.flag("skip_empty")) for text in arrays[0].tolist()]
    places = [(k, n) for k, row in enumerate(rows) for n in range(len(row))]
    values = np.empty(len(places), object)
    values[:] = [word for row in rows for word in row]
    shape = [len(rows), max(map(len, rows), default=0)]
    return [np.array(places, np.int64).reshape(-1, 2), values, np.array(shape, np.int64)]


def _words(text: bytes, marks: bytes, skip_empty: bool) -> list[bytes]:
    if not marks:
        return [text[k : k + 1] for k in range(len(text))]
    found = re.split(b"[" + re.escape(marks) + b"]", text)
    return [word for word in found if word or not skip_empty]


def read_file(filename: object, name: str | None = None) -> Tensor:
    """The contents of a file."""
    return make("ReadFile", (filename,), name)


def _read(op: Operation, path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise NotFoundError(op.name, op, f"{path.decode()}; No such file or directory") from None


def write_file(filename: object, contents: object, name: str | None = None) -> Operation:
    """An op that writes a file."""
    return apply_op("WriteFile", (filename, contents), name)


def _write(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    with open(arrays[0].item(), "wb") as file:
        file.write(arrays[1].item())
    return []


def _cased(
    change: Callable[[str], str], ascii_only: Callable[[bytes], bytes]
) -> Callable[..., bytes]:
    def function(op: Operation, text: bytes) -> bytes:
        if op.text("encoding") == "utf-8":
            return change(text.decode()).encode()
        return ascii_only(text)

    return function


def _length(op: Operation, text: bytes) -> int:
    return len(text.decode()) if op.text("unit") == "UTF8_CHAR" else len(text)


def _replace(op: Operation, text: bytes, pattern: bytes, rewrite: bytes) -> bytes:
    whole = rewrite.replace(rb"\0", rb"\g<0>")
    return re.sub(pattern, whole, text, count=0 if op.flag("replace_global") else 1)


def _encode(op: Operation, text: bytes) -> bytes:
    found = base64.urlsafe_b64encode(text)
    return found if op.flag("pad") else found.rstrip(b"=")


def _decode(op: Operation, text: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        raise InvalidArgumentError(op.name, op, "Invalid character found in base64.") from None


def _join(op: Operation, *parts: bytes) -> bytes:
    return op.text("separator").encode().join(parts)


def _out_type(op: Operation) -> Sequence[Result]:
    target = op.attributes["out_type"]
    assert isinstance(target, dtypes.DType)
    return [(target, op.inputs[0].sizes)]


_TEXT = _like(dtypes.string)
_SIMPLE: tuple[tuple[str, str, Callable[..., object]], ...] = (
    ("AsString", "input:T", _as_string),
    ("StringJoin", "inputs:string*", _join),
    ("StringStrip", "input:string", lambda op, text: text.strip()),
    ("StringLower", "input:string", _cased(str.lower, bytes.lower)),
    ("StringUpper", "input:string", _cased(str.upper, bytes.upper)),
    ("Substr", "input:string pos:index len:index", _substr),
    ("RegexReplace", "input:string pattern:string rewrite:string", _replace),
    ("EncodeBase64", "input:string", _encode),
    ("DecodeBase64", "input:string", _decode),
    ("ReadFile", "filename:string", _read),
)
register(
    *(
        OpKind(name, inputs, _TEXT, host_only, host=_mapped(function), differentiable=False)
        for name, inputs, function in _SIMPLE
    ),
    OpKind("StringLength", "input:string", _like(dtypes.int32), host_only,
           host=_mapped(_length, np.int32), differentiable=False),
    OpKind("RegexFullMatch", "input:string pattern:string", _like(dtypes.boolean), host_only,
           host=_mapped(lambda op, text, p: re.fullmatch(p, text) is not None, np.bool_),
           differentiable=False),
    OpKind("StringToNumber", "string_tensor:string", _out_type, host_only, host=_to_number,
           differentiable=False),
    OpKind("ReduceJoin", "inputs:string reduction_indices:int32", _join_infer, host_only,
           host=_reduce_join, differentiable=False),
    OpKind("StringSplit", "input:string delimiter:string", _split_infer, host_only, host=_split,
           differentiable=False),
    OpKind("WriteFile", "filename:string contents:string", lambda op: [], host_only, host=_write,
           differentiable=False),
)  # fmt: skip
