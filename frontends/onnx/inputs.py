"""The types of a graph's inputs, with open dims replaced by the sizes the user gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike
from onnx import GraphProto, TensorShapeProto, TypeProto, ValueInfoProto

from tensorkiln.compiler.ir.dtypes import dtype_of
from tensorkiln.compiler.ir.function import Array
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.frontends.onnx.batches import batch_name
from tensorkiln.frontends.onnx.elements import dtype_of_element, type_string
from tensorkiln.frontends.onnx.operand import Entry, Items, Maybe, Operand
from tensorkiln.frontends.onnx.results import item_name
from tensorkiln.frontends.onnx.tensors import MAXIMUM_BYTES
from tensorkiln.runtime.errors import ModelError, UnsupportedError

MAXIMUM_ITEMS = 1 << 16

# A tensor, a sequence of tensors, or an optional input that is not given.
InputType: TypeAlias = "TensorType | Sequence[TensorType] | None"
Fed: TypeAlias = "Array | list[Array] | None"
Constant: TypeAlias = "ArrayLike | Sequence[ArrayLike] | None"


def input_types(
    graph: GraphProto,
    initialized: Set[str],
    dims: Mapping[str, int],
    given: Mapping[str, InputType],
) -> dict[str, InputType]:
    """The types of the inputs that are in no way `initialized`, by name, in order.

    They are the declared ones, with the sizes of `dims`, but where they are `given`.  ModelError
    lists the open dims that `dims` gives no size, and names in `dims` and `given` that the model
    does not have.
    """
    _check_sizes(dims)
    wanted = [value for value in graph.input if value.name not in initialized]
    names = [str(value.name) for value in graph.input]
    for name in names:
        if not name or names.count(name) > 1:
            raise ModelError(f"{names.count(name)} inputs of the graph are named {name!r}")
    for name in given:
        if name not in names:
            raise ModelError(f"the model has no input {name!r}: its inputs are {', '.join(names)}")
    declared = [value for value in wanted if value.name not in given]
    open_ = {name: str(value.name) for value in declared for name in _open_names(value)}
    batches = [name for value in declared if (name := batch_name(value))]
    known = {name for value in wanted for name in _open_names(value)}.union(batches)
    unknown = sorted(set(dims) - known)
    if unknown:
        has = f"its open dims are {', '.join(open_)}" if open_ else "it has no open dims"
        has += f"; declared batches of 1 are {', '.join(batches)}" if batches else ""
        raise ModelError(f"the model has no dim {', '.join(unknown)}: {has}")
    missing = [name for name in open_ if name not in dims]
    if missing:
        example = ", ".join(f"{name!r}: 1" for name in missing)
        options = " ".join(f"--dim {name}=1" for name in missing)
        raise ModelError(
            f"input {open_[missing[0]]!r} has the open dim {missing[0]!r}; the model's open dims "
            f"are {', '.join(open_)}: give their sizes, as in dims={{{example}}} or {options}"
        )
    return {
        str(value.name): _checked(value, given[value.name])
        if value.name in given
        else _declared_type(value, dims)
        for value in wanted
    }


def is_open(value: ValueInfoProto, dims: Mapping[str, int]) -> bool:
    """True if the declared type of an input leaves something open that `dims` does not settle."""
    layout = _layout(value)
    if layout.sequence and not layout.tensor.HasField("shape"):
        return True
    return any(name not in dims for name in _open_names(value))


def parameters(
    builder: Builder, graph: GraphProto, types: Mapping[str, InputType]
) -> dict[str, Entry]:
    """Parameters of the function for the inputs of these types, by the inputs' names.

    The tensors of a sequence `x` are the parameters `x.0`, `x.1`, ...
    """
    declared = {str(value.name): value for value in graph.input}
    made: dict[str, Entry] = {}
    for name, kind in types.items():
        inputs = frozenset((name,))
        if isinstance(kind, TensorType):
            tensors = [(name, kind)]
        else:
            tensors = [(item_name(name, k), item) for k, item in enumerate(kind or ())]
        items = [
            Operand(part, value=builder.parameter(part, t), inputs=inputs) for part, t in tensors
        ]
        made[name] = _entry(declared[name], items, kind is not None)
    return made


def _entry(value: ValueInfoProto, items: Sequence[Operand], present: bool) -> Entry:
    """What the input is in the importer, made of its tensors."""
    layout, name = _layout(value), str(value.name)
    dtype = dtype_of_element(layout.tensor.elem_type, f"input {name!r}")
    content: Operand | Items = Items(name, items, dtype)
    inner = content.kind
    if not layout.sequence:
        inner = type_string(dtype)
        if present:
            (content,) = items
    return Maybe(name, content if present else None, inner) if layout.optional else content


def fixed_inputs(graph: GraphProto, constants: Mapping[str, Constant]) -> dict[str, Entry]:
    """The inputs that are given values; ModelError for an unknown name or a wrong dtype or rank."""
    declared = {str(value.name): value for value in graph.input}
    unknown = [name for name in constants if name not in declared]
    if unknown:
        raise ModelError(
            f"the model has no input {', '.join(unknown)}: its inputs are {', '.join(declared)}"
        )
    return {name: _fixed(declared[name], v) for name, v in constants.items()}


def _fixed(value: ValueInfoProto, given: Constant) -> Entry:
    name, layout = str(value.name), _layout(value)
    if given is None:
        _checked(value, None)
        return _entry(value, (), present=False)
    if layout.sequence:
        arrays = [np.asarray(item) for item in cast("Sequence[ArrayLike]", given)]
        _checked(value, [_type_of(array) for array in arrays])
        items = [Operand(item_name(name, k), array) for k, array in enumerate(arrays)]
        return _entry(value, items, present=True)
    array = np.asarray(given)
    dtype = dtype_of_element(layout.tensor.elem_type, f"input {name!r}")
    if array.dtype != dtype.numpy or not _fits(layout.tensor, array.shape):
        raise ModelError(
            f"input {name!r} is {dtype} of shape {_known_dims(layout.tensor)}; its constant is "
            f"{array.dtype} of shape {list(array.shape)}"
        )
    return _entry(value, [Operand(name, array)], present=True)


def fed_value(value: ValueInfoProto, given: object) -> Fed:
    """What is fed to an input, as arrays."""
    if given is None:
        return None
    if _layout(value).sequence:
        return [np.asarray(item) for item in cast("Sequence[ArrayLike]", given)]
    return np.asarray(given)


def arrays_of(fed: Fed) -> Sequence[Array]:
    """The arrays in it, in the order of the parameters."""
    return fed if isinstance(fed, list) else () if fed is None else (fed,)


def type_of(fed: Fed) -> InputType:
    """The type that an input has of which this is a value."""
    if fed is None:
        return None
    return [_type_of(item) for item in fed] if isinstance(fed, list) else _type_of(fed)


def _type_of(array: Array) -> TensorType:
    return TensorType(tuple(array.shape), dtype_of(array.dtype))


def _checked(value: ValueInfoProto, kind: InputType) -> InputType:
    """A type given for an input; ModelError where it contradicts the declared one."""
    layout, what = _layout(value), f"input {value.name!r}"
    if kind is None:
        if not layout.optional:
            raise ModelError(f"{what} is not optional, and must be given")
        return None
    if isinstance(kind, TensorType) == layout.sequence:
        is_ = "a sequence" if layout.sequence else "a tensor"
        raise ModelError(f"{what} is {is_}, and is given {kind}")
    dtype = dtype_of_element(layout.tensor.elem_type, what)
    for item in (kind,) if isinstance(kind, TensorType) else kind:
        if item.dtype != dtype:
            raise ModelError(f"{what} is of {dtype}, and is given {item}")
    if isinstance(kind, TensorType) and not _fits(layout.tensor, kind.sizes):
        raise ModelError(f"{what} is of shape {_known_dims(layout.tensor)}, and is given {kind}")
    return kind


def _known_dims(tensor: TypeProto.Tensor) -> list[int | None]:
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]


def _fits(tensor: TypeProto.Tensor, shape: Sequence[int]) -> bool:
    if not tensor.HasField("shape"):
        return True
    dims = _known_dims(tensor)
    return len(dims) == len(shape) and all(
        dim in (None, size) for dim, size in zip(dims, shape, strict=True)
    )


def _check_sizes(dims: Mapping[str, int]) -> None:
    for name, size in dims.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 0:
            raise ModelError(f"dim {name} has the size {size!r}; give an integer, 0 or more")


class _Layout(NamedTuple):
    """A declared type taken apart: perhaps optional, perhaps a sequence, of tensors."""

    optional: bool
    sequence: bool
    tensor: TypeProto.Tensor


def _layout(value: ValueInfoProto) -> _Layout:
    what, kind, wrappers = f"input {value.name!r}", value.type, []
    for wrapper in ("optional_type", "sequence_type"):
        if kind.WhichOneof("value") == wrapper:
            wrappers.append(wrapper)
            kind = getattr(kind, wrapper).elem_type
    found = kind.WhichOneof("value")
    if found is None:
        raise ModelError(f"{what} has no type")
    if found != "tensor_type":
        raise UnsupportedError(f"{what} is a {found.removesuffix('_type')}, not a tensor")
    if not wrappers and not kind.tensor_type.HasField("shape"):
        raise UnsupportedError(f"{what} has no shape; its rank must be known to compile it")
    return _Layout("optional_type" in wrappers, "sequence_type" in wrappers, kind.tensor_type)


def _open_names(value: ValueInfoProto) -> list[str]:
    """The names of all sizes that the declared type leaves open."""
    layout, name = _layout(value), str(value.name)
    found = [f"{name}.given"] if layout.optional else []
    found += [f"{name}.length"] if layout.sequence else []
    dims = enumerate(layout.tensor.shape.dim)
    return found + [n for axis, dim in dims if (n := _open_name(value, axis, dim))]


def _open_name(value: ValueInfoProto, axis: int, dim: TensorShapeProto.Dimension) -> str:
    """The name of an open dim, empty where the size is known."""
    if dim.HasField("dim_value"):
        return ""
    return dim.dim_param or f"{value.name}.{axis}"


def _declared_type(value: ValueInfoProto, dims: Mapping[str, int]) -> InputType:
    layout, name = _layout(value), str(value.name)
    if layout.optional and not dims[f"{name}.given"]:
        return None
    if not layout.tensor.HasField("shape"):
        raise UnsupportedError(
            f"the tensors of input {name!r} have no declared shape; their rank must be known"
        )
    kind = _tensor_type(value, layout.tensor, dims)
    if not layout.sequence:
        return kind
    length = dims[f"{name}.length"]
    if length > MAXIMUM_ITEMS:
        raise ModelError(f"input {name!r} has {length} tensors, more than {MAXIMUM_ITEMS}")
    return [kind] * length


def _tensor_type(
    value: ValueInfoProto, tensor: TypeProto.Tensor, dims: Mapping[str, int]
) -> TensorType:
    what = f"input {value.name!r}"
    shape = []
    for axis, dim in enumerate(tensor.shape.dim):
        name = _open_name(value, axis, dim)
        size = int(dims[name]) if name else dim.dim_value
        if not axis and batch_name(value) in dims:
            size = int(dims[batch_name(value)])
        if size < 0:
            raise ModelError(f"{what} has a dim of size {size}")
        shape.append(size)
    dtype = dtype_of_element(tensor.elem_type, what)
    if math.prod(shape) * dtype.bytes > MAXIMUM_BYTES:
        raise ModelError(f"{what} has shape {shape}, more than {MAXIMUM_BYTES} bytes")
    return TensorType(tuple(shape), dtype)
