"""The types of a graph's inputs, with open dims replaced by the sizes the user gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set

import numpy as np
from numpy.typing import ArrayLike
from onnx import GraphProto, TensorShapeProto, TypeProto, ValueInfoProto

from tensorkiln.compiler.ir.function import Array
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.frontends.onnx.elements import dtype_of_element
from tensorkiln.frontends.onnx.node import Operand
from tensorkiln.frontends.onnx.tensors import MAXIMUM_BYTES
from tensorkiln.runtime.errors import ModelError, UnsupportedError


def parameter_types(
    graph: GraphProto, initialized: Set[str], dims: Mapping[str, int]
) -> dict[str, TensorType]:
    """The types of the inputs that are in no way `initialized`, by name, in order.

    ModelError lists the open dims that `dims` gives no size, and names in `dims` that the model
    does not have.
    """
    _check_sizes(dims)
    given = [value for value in graph.input if value.name not in initialized]
    names = [str(value.name) for value in graph.input]
    for name in names:
        if not name or names.count(name) > 1:
            raise ModelError(f"{names.count(name)} inputs of the graph are named {name!r}")
    open_ = {
        name: value.name
        for value in given
        for axis, dim in enumerate(_tensor(value).shape.dim)
        if (name := _open_name(value, axis, dim))
    }
    unknown = sorted(set(dims) - set(open_))
    if unknown:
        has = f"its open dims are {', '.join(open_)}" if open_ else "it has no open dims"
        raise ModelError(f"the model has no dim {', '.join(unknown)}: {has}")
    missing = [name for name in open_ if name not in dims]
    if missing:
        example = ", ".join(f"{name!r}: 1" for name in missing)
        options = " ".join(f"--dim {name}=1" for name in missing)
        raise ModelError(
            f"input {open_[missing[0]]!r} has the open dim {missing[0]!r}; the model's open dims "
            f"are {', '.join(open_)}: give their sizes, as in dims={{{example}}} or {options}"
        )
    return {str(value.name): _type(value, dims) for value in given}


def fixed_inputs(graph: GraphProto, constants: Mapping[str, ArrayLike]) -> dict[str, Operand]:
    """The inputs that are given values; ModelError for an unknown name or a wrong dtype or rank."""
    declared = {str(value.name): value for value in graph.input}
    unknown = [name for name in constants if name not in declared]
    if unknown:
        raise ModelError(
            f"the model has no input {', '.join(unknown)}: its inputs are {', '.join(declared)}"
        )
    return {name: _fixed(declared[name], np.asarray(v)) for name, v in constants.items()}


def _fixed(value: ValueInfoProto, array: Array) -> Operand:
    what = f"input {value.name!r}"
    tensor = _tensor(value)
    dtype = dtype_of_element(tensor.elem_type, what)
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    fits = len(dims) == array.ndim and all(
        dim in (None, size) for dim, size in zip(dims, array.shape, strict=True)
    )
    if array.dtype != dtype.numpy or not fits:
        raise ModelError(
            f"{what} is {dtype} of shape {dims}; its constant is {array.dtype} of shape "
            f"{list(array.shape)}"
        )
    return Operand(str(value.name), array)


def _check_sizes(dims: Mapping[str, int]) -> None:
    for name, size in dims.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 0:
            raise ModelError(f"dim {name} has the size {size!r}; give an integer, 0 or more")


def _tensor(value: ValueInfoProto) -> TypeProto.Tensor:
    what = f"input {value.name!r}"
    kind = value.type.WhichOneof("value")
    if kind is None:
        raise ModelError(f"{what} has no type")
    if kind != "tensor_type":
        raise UnsupportedError(f"{what} is a {kind.removesuffix('_type')}, not a tensor")
    if not value.type.tensor_type.HasField("shape"):
        raise UnsupportedError(f"{what} has no shape; its rank must be known to compile it")
    return value.type.tensor_type


def _open_name(value: ValueInfoProto, axis: int, dim: TensorShapeProto.Dimension) -> str:
    """The name of an open dim, empty where the size is known."""
    if dim.HasField("dim_value"):
        return ""
    return dim.dim_param or f"{value.name}.{axis}"


def _type(value: ValueInfoProto, dims: Mapping[str, int]) -> TensorType:
    tensor = _tensor(value)
    what = f"input {value.name!r}"
    shape = []
    for axis, dim in enumerate(tensor.shape.dim):
        name = _open_name(value, axis, dim)
        size = int(dims[name]) if name else dim.dim_value
        if size < 0:
            raise ModelError(f"{what} has a dim of size {size}")
        shape.append(size)
    dtype = dtype_of_element(tensor.elem_type, what)
    if math.prod(shape) * dtype.bytes > MAXIMUM_BYTES:
        raise ModelError(f"{what} has shape {shape}, more than {MAXIMUM_BYTES} bytes")
    return TensorType(tuple(shape), dtype)
