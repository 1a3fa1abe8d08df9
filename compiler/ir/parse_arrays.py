"""Reads the elements of an array in text: decimal numbers, or bytes in hexadecimal."""

from __future__ import annotations

import math

import numpy as np

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.ir.function import Array
from tensorkiln.compiler.ir.tokens import Token, Tokens
from tensorkiln.compiler.ir.types import TensorType

_MAX_RANK = 32  # what the oldest numpy that is supported can hold


def array_data(tokens: Tokens, kind: TensorType, head: Token) -> Array:
    """The elements of an array of type `kind`, read-only.

    Nothing is allocated before the text is seen to hold as many elements as the type says.
    """
    shape = kind.sizes
    if min(shape, default=0) < 0 or len(shape) > _MAX_RANK or max(shape, default=0) >= 1 << 62:
        tokens.fail(f"no array has the type {kind}", head)
    flat = _bytes(tokens, kind) if tokens.token.kind == "hex" else _numbers(tokens, kind)
    array = flat.reshape(shape)
    array.setflags(write=False)
    return array


def _bytes(tokens: Tokens, kind: TensorType) -> Array:
    token = tokens.advance()
    wanted = 2 * math.prod(kind.sizes) * kind.dtype.bytes
    if len(token.text) - 2 != wanted:
        tokens.fail(f"{kind} needs {wanted} hexadecimal digits, not {len(token.text) - 2}", token)
    raw = bytes.fromhex(token.text[2:])
    little = np.frombuffer(raw, np.uint8).copy()
    if kind.dtype.kind == "bool" and little.size and little.max() > 1:
        tokens.fail("a bool is 00 or 01", token)
    if kind.dtype.bits < 8 and little.size and little.max() >> kind.dtype.bits:
        tokens.fail(f"an element of {kind.dtype} has {kind.dtype.bits} bits", token)
    return np.asarray(little.view(kind.dtype.numpy.newbyteorder("<")).astype(kind.dtype.numpy))


def _numbers(tokens: Tokens, kind: TensorType) -> Array:
    values: list[int | float] = []
    for _ in range(math.prod(kind.sizes)):  # ends at the first token that is no number
        values.append(_number(tokens, kind.dtype))
    with np.errstate(over="ignore"):
        return np.array(values, object).astype(_through(kind.dtype)).astype(kind.dtype.numpy)


def _through(dtype: DType) -> type[np.generic]:
    if dtype.is_float:
        return np.float64
    return np.int64 if dtype.is_signed else np.uint64


def _number(tokens: Tokens, dtype: DType) -> int | float:
    negative = tokens.accept("-")
    token = tokens.token
    if dtype.is_complex:
        tokens.fail("complex numbers are written as bytes, in hexadecimal", token)
    if dtype.is_float and token.kind == "name" and token.text in ("inf", "nan"):
        value: int | float = float(tokens.advance().text)
    else:
        text = tokens.take("number", f"a number of dtype {dtype}").text
        value = float(text) if dtype.is_float or not text.isdigit() else int(text)
    value = -value if negative else value
    if not dtype.is_float and not (isinstance(value, int) and _fits(value, dtype)):
        tokens.fail(f"{value} is no {dtype}", token)
    return value


def _fits(value: int, dtype: DType) -> bool:
    if dtype.kind == "bool":
        return value in (0, 1)
    low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    return low <= value < low + (1 << dtype.bits)
