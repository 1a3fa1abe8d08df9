"""Checks the caller's arrays against what a model expects."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tensorkiln.runtime.errors import FeedError
from tensorkiln.runtime.manifest import TensorSpec

Array = npt.NDArray[Any]

# typed by hand: numpy's arrays are buffers, which their types do not say before Python 3.12
from_buffer: Callable[[Array], ctypes.c_char] = cast(Any, ctypes.c_char.from_buffer)


def address(array: Array) -> int:
    """The address of a dense array's first element.

    A writable buffer is asked through ctypes, which is three times as fast as numpy's own ways;
    read-only and empty arrays and dtypes without a buffer format are not to be had like that.
    """
    try:
        return ctypes.addressof(from_buffer(array))
    except (TypeError, ValueError, BufferError):
        return int(array.__array_interface__["data"][0])


def conform(spec: TensorSpec, value: object, kind: str = "input") -> Array:
    """`value` as a dense array of `spec`'s shape and dtype, copied if it is not dense.

    Arrays must have the dtype; Python numbers and lists are converted where numpy's "same_kind"
    casting allows. FeedError names the input and what it expects.
    """
    array = np.asarray(value)
    plain = not isinstance(value, (np.ndarray, np.generic))
    if plain and (array.size == 0 or np.can_cast(array.dtype, spec.numpy, "same_kind")):
        try:
            array = np.asarray(value, spec.numpy)
        except OverflowError as error:
            raise FeedError(f"{kind} {spec.name!r} expects {spec}: {error}") from error
    if array.dtype != spec.numpy:
        raise FeedError(
            f"{kind} {spec.name!r} expects {spec}, but the array has dtype {array.dtype};"
            f" convert it with .astype({spec.numpy.name!r})"
        )
    if array.shape != spec.shape:
        shape = ",".join(map(str, array.shape))
        raise FeedError(f"{kind} {spec.name!r} expects {spec}, but the array has shape [{shape}]")
    return np.ascontiguousarray(array).reshape(spec.shape)


def dense(name: str, dtype: np.dtype[np.generic], value: object, kind: str = "input") -> Array:
    """`value` as a dense array of any shape, copied if it is not dense.

    Arrays must have the dtype; Python numbers and lists are converted where numpy's "same_kind"
    casting allows. FeedError names the input and what it expects.
    """
    array = np.asarray(value)
    plain = not isinstance(value, (np.ndarray, np.generic))
    if plain and (array.size == 0 or np.can_cast(array.dtype, dtype, "same_kind")):
        try:
            array = np.asarray(value, dtype)
        except OverflowError as error:
            raise FeedError(f"{kind} {name!r} expects {dtype.name}: {error}") from error
    if array.dtype != dtype:
        raise FeedError(
            f"{kind} {name!r} expects {dtype.name}, but the array has dtype {array.dtype};"
            f" convert it with .astype({dtype.name!r})"
        )
    return np.ascontiguousarray(array).reshape(array.shape)


def writable(spec: TensorSpec, value: object, kind: str) -> Array:
    """`value` itself, which must be a dense writable array of `spec`'s shape and dtype."""
    if not isinstance(value, np.ndarray):
        raise FeedError(f"{kind} {spec.name!r} is written in place and must be a numpy array")
    conform(spec, value, kind)
    if not (value.flags.c_contiguous and value.flags.writeable):
        raise FeedError(
            f"{kind} {spec.name!r} is written in place: its array must be writable and C-contiguous"
        )
    return value


def wrong_names(expected: Iterable[str], given: Iterable[str], kind: str = "input") -> FeedError:
    """The error for names that do not match, telling which are missing and which unknown."""
    expected, given = list(expected), list(given)
    missing = [repr(name) for name in expected if name not in given]
    unknown = [repr(name) for name in given if name not in expected]
    parts = []
    if missing:
        parts.append(f"missing {kind} {', '.join(missing)}")
    if unknown:
        parts.append(f"unknown {kind} {', '.join(unknown)}")
    names = ", ".join(map(repr, expected)) or "none"
    return FeedError(f"{'; '.join(parts)} (the model's {kind}s are: {names})")
