"""Whatever a program passes where a tensor is wanted, as a Tensor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.arrays import Array, make_array
from tensorkiln.frontends.graph.dimension import Dimension
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.kinds import TABLE
from tensorkiln.frontends.graph.shapes import TensorShape
from tensorkiln.frontends.graph.stack import get_default_graph

if TYPE_CHECKING:
    from tensorkiln.frontends.graph.tensor import Tensor


class Convertible(ABC):
    """Something that stands for a tensor of a graph: a Tensor itself, a Variable."""

    @abstractmethod
    def _as_tensor(self, as_ref: bool = False) -> Tensor:
        """The tensor; with `as_ref` a variable gives its mutable tensor."""


class Conversion(Protocol):
    """A program's own conversion; NotImplemented leaves the value to others."""

    def __call__(self, value: Any, dtype: DType | None, name: str | None, as_ref: bool) -> object:
        """The tensor, or NotImplemented."""


_CONVERSIONS: list[tuple[int, tuple[type, ...], Conversion]] = []


def register_tensor_conversion_function(
    base_type: type | tuple[type, ...], conversion_func: Conversion, priority: int = 100
) -> None:
    """Lets `conversion_func(value, dtype, name, as_ref)` make tensors of values of a type.

    It gives a tensor, or NotImplemented.  Functions of smaller `priority` are asked first.
    """
    types = base_type if isinstance(base_type, tuple) else (base_type,)
    if not types or not all(isinstance(kind, type) for kind in types):
        raise TypeError("base_type must be a type or a tuple of types.")
    if any(issubclass(kind, bool | int | float | str | np.generic | np.ndarray) for kind in types):
        raise TypeError(
            "Cannot register conversions for Python numeric types and NumPy scalars and arrays."
        )
    if not callable(conversion_func):
        raise TypeError("conversion_func must be callable.")
    _CONVERSIONS.append((priority, types, conversion_func))
    _CONVERSIONS.sort(key=lambda item: item[0])


def _by_program(
    value: object, wanted: DType | None, name: str | None, as_ref: bool
) -> Tensor | None:
    """What the first of the program's conversions for the value's type makes of it."""
    for _, types, function in _CONVERSIONS:
        if not isinstance(value, types):
            continue
        made = function(value, dtype=wanted, name=name, as_ref=as_ref)
        if made is NotImplemented:
            continue
        if not isinstance(made, Convertible):
            raise RuntimeError(f"Conversion function {function!r} returned no Tensor: {made!r}")
        tensor = made._as_tensor(as_ref)
        if wanted is not None and tensor.dtype.base_dtype is not wanted:
            raise RuntimeError(
                f"Conversion function {function!r} returned incompatible dtype: requested = "
                f"{wanted.name}, actual = {tensor.dtype.name}"
            )
        return tensor
    return None


def convert_to_tensor(
    value: object,
    dtype: object = None,
    name: str | None = None,
    preferred_dtype: object = None,
    as_ref: bool = False,
    dtype_hint: object = None,
) -> Tensor:
    """`value` as a tensor of the default graph.

    A tensor or variable of another dtype than `dtype` is a ValueError; numbers, lists and arrays
    become constants of `dtype` (of `preferred_dtype` if that fits them); a list that contains
    tensors is packed.
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
    if isinstance(value, Convertible):
        tensor = value._as_tensor(as_ref)
        if wanted is not None and tensor.dtype.base_dtype is not wanted:
            raise ValueError(
                f"Tensor conversion requested dtype {wanted.name} for Tensor with dtype "
                f"{tensor.dtype.base_dtype.name}: {str(tensor)!r}"
            )
        return tensor
    if _CONVERSIONS:
        own = _by_program(value, wanted, name, as_ref)
        if own is not None:
            return own
    hint = preferred_dtype if preferred_dtype is not None else dtype_hint
    if wanted is None and hint is not None:
        try:
            return convert_to_tensor(value, dtype=hint, name=name)
        except (TypeError, ValueError):
            pass
    if isinstance(value, list | tuple) and contains_tensor(value):
        return _pack(value, wanted, name)
    if isinstance(value, Dimension | TensorShape):
        return constant_tensor(_shape_array(value, wanted), name or "Const")
    return constant_tensor(make_array(value, wanted), name or "Const")


def contains_tensor(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """True for a list or tuple with a tensor somewhere inside."""
    if not isinstance(value, list | tuple):
        return False
    return any(isinstance(item, Convertible) or contains_tensor(item) for item in value)


def constant_tensor(array: Array, name: str) -> Tensor:
    """A `Const` op that holds `array`."""
    graph = get_default_graph()
    operation = graph.create_op(
        TABLE["Const"], (), {"value": array, "dtype": dtypes.as_dtype(array.dtype)}, name
    )
    return operation.outputs[0]


def _shape_array(value: Dimension | TensorShape, wanted: DType | None) -> Array:
    dims: object = value.value if isinstance(value, Dimension) else value.sizes
    sizes = np.array(dims, dtype=object)
    if dims is None or any(size is None for size in sizes.reshape(-1)):
        raise ValueError(f"Cannot convert a partially known TensorShape to a Tensor: {value}")
    return sizes.astype((wanted or dtypes.int32).numpy)


def _pack(
    values: list[object] | tuple[object, ...], wanted: DType | None, name: str | None
) -> Tensor:
    dtype = wanted or _first_dtype(values)
    graph = get_default_graph()
    with graph.name_scope(name or "packed") as scope:
        parts = [convert_to_tensor(value, dtype, str(index)) for index, value in enumerate(values)]
        operation = graph.create_op(TABLE["Pack"], parts, {"axis": 0}, scope)
    return operation.outputs[0]


def _first_dtype(values: object) -> DType | None:
    if isinstance(values, Convertible):
        return values._as_tensor().dtype.base_dtype
    if isinstance(values, list | tuple):
        for value in values:
            found = _first_dtype(value)
            if found is not None:
                return found
    return None
