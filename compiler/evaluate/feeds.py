"""Checks arrays against the parameters of a function and finds the sizes of symbols."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dims import Affine, Dim, Symbol, substitute
from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.runtime.errors import FeedError


def check_feeds(function: Function, arrays: Sequence[Array]) -> dict[str, int]:
    """The sizes of the function's symbols; FeedError if an array does not fit its parameter."""
    parameters = function.parameters
    if len(arrays) != len(parameters):
        names = ", ".join(v.name for v in parameters)
        raise FeedError(f"{function}: {len(arrays)} arrays for {len(parameters)} inputs ({names})")
    sizes: dict[str, int] = {}
    for value, array in zip(parameters, arrays, strict=True):
        text = f"input {value.name!r} is {value.type}, but the array is"
        try:
            dtype = dtype_of(array.dtype)
        except KeyError:
            raise FeedError(f"{text} of numpy's {array.dtype}") from None
        if dtype != value.dtype:
            raise FeedError(f"{text} {dtype}; convert it with .astype({value.dtype.numpy})")
        if len(array.shape) != value.type.rank:
            raise FeedError(f"{text} of shape {list(array.shape)}")
        for dim, size in zip(value.type.shape, array.shape, strict=True):
            _bind(dim, size, sizes)
    for value, array in zip(parameters, arrays, strict=True):
        found = tuple(substitute(dim, sizes) for dim in value.type.shape)
        if found != tuple(array.shape):
            given = f" where {_equations(sizes)}" if sizes else ""
            raise FeedError(
                f"input {value.name!r} is {value.type}{given}, "
                f"but the array has shape {list(array.shape)}"
            )
    _check_ranges(function.symbols, sizes)
    return sizes


def _bind(dim: Dim, size: int, sizes: dict[str, int]) -> None:
    """Solves `coefficient * symbol + constant = size`; what does not fit is found later."""
    if isinstance(dim, Affine) and len(dim.terms) == 1:
        ((symbol, coefficient),) = dim.terms
        sizes.setdefault(symbol.name, (size - dim.constant) // coefficient)


def _check_ranges(symbols: Sequence[Symbol], sizes: dict[str, int]) -> None:
    for symbol in symbols:
        size = sizes.get(symbol.name)
        if size is None:
            raise FeedError(f"no input tells the size {symbol.name}: it needs a dim of its own")
        if size < symbol.minimum or (symbol.maximum is not None and size > symbol.maximum):
            top = "" if symbol.maximum is None else symbol.maximum
            raise FeedError(f"{symbol.name} is {size}, outside of {symbol.minimum}..{top}")


def _equations(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())
