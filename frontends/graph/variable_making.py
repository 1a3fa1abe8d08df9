"""Makes variables for `get_variable`: whole, or in parts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from tensorkiln.frontends.graph.convert import Convertible, convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
from tensorkiln.frontends.graph.initializers import known
from tensorkiln.frontends.graph.ops_slice import slice_
from tensorkiln.frontends.graph.partitioned_variable import (
    PartitionedVariable,
    PartitionInfo,
    part_sizes,
)
from tensorkiln.frontends.graph.partitioners import Partitioner
from tensorkiln.frontends.graph.save_slices import Slice, note_slice
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.shapes import TensorShape, as_shape
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variables import Variable


def make_variable(
    name: str, shape: object, dtype: DType, initializer: object, trainable: bool = True,
    collections: Sequence[str] | None = None, validate_shape: bool = True,
    constraint: Callable[..., object] | None = None, partition_info: PartitionInfo | None = None,
) -> Variable:  # fmt: skip
    """A new variable of a full name, whose scopes are not those of the current place."""
    if isinstance(initializer, type):
        initializer = initializer()
    initial: object = initializer
    if callable(initializer) and not isinstance(initializer, Convertible):
        given = as_shape(shape)
        if not given.is_fully_defined():
            raise ValueError(
                f"Shape of a new variable ({name}) must be fully defined, but instead was {given}."
            )
        sizes, make = known(shape), initializer

        def initial() -> Tensor:
            return convert_to_tensor(_call(make, sizes, dtype, partition_info), dtype)

    elif shape is not None and not isinstance(initializer, Convertible):
        raise ValueError("If initializer is a constant, do not specify shape.")
    # A name scope of the op does not show in the variable's name.
    with get_default_graph().name_scope(None):
        return Variable(
            initial, trainable, collections, validate_shape, name=name,
            dtype=dtype if callable(initial) or not isinstance(initializer, Convertible) else None,
            constraint=constraint,
        )  # fmt: skip


def _call(
    make: Callable[..., object], sizes: tuple[int, ...], dtype: DType, part: PartitionInfo | None
) -> object:
    """Initializers take the dtype by keyword; plain functions may take the shape alone."""
    parameters = inspect.signature(make).parameters.values()
    names = {p.name for p in parameters}
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    options: dict[str, object] = {}
    if takes_all or "dtype" in names:
        options["dtype"] = dtype
    if part is not None and (takes_all or "partition_info" in names):
        options["partition_info"] = part
    return make(list(sizes), **options)


def make_parts(
    name: str, shape: tuple[int, ...], partitioner: Partitioner, dtype: DType, initializer: object,
    trainable: bool = True, collections: Sequence[str] | None = None, validate_shape: bool = True,
    constraint: Callable[..., object] | None = None,
) -> PartitionedVariable:  # fmt: skip
    """A new variable in the parts that the partitioner gives, named part_0, part_1, ..."""
    counts = list(partitioner(shape=TensorShape(list(shape)), dtype=dtype))
    axis, places = part_sizes(name, shape, counts)
    whole = initializer
    if not isinstance(initializer, Convertible | type) and not callable(initializer):
        whole = convert_to_tensor(initializer, dtype)
    parts = []
    for k, (start, size) in enumerate(places):
        sizes = tuple(size if d == axis else n for d, n in enumerate(shape))
        offset = tuple(start if d == axis else 0 for d in range(len(shape)))
        full = f"{name}/part_{k}"
        made_by, own_shape = whole, sizes
        if isinstance(whole, Convertible):
            with get_default_graph().name_scope(None), name_scope(f"{full}/PartitionedInitializer"):
                made_by = slice_(whole, list(offset), list(sizes))
        options = (dtype, made_by, trainable, collections, validate_shape, constraint)
        info = PartitionInfo(shape, offset)
        shown = None if isinstance(made_by, Convertible) else own_shape
        part = make_variable(full, shown, *options, partition_info=info)
        note_slice(part.op, name, Slice(shape, offset, sizes))
        parts.append(part)
    return PartitionedVariable(name, parts, axis)
