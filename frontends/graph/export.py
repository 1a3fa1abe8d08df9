"""A part of a trained graph as a function of its own: variables become constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.schedule import batches, needed
from tensorkiln.frontends.graph.session import BaseSession
from tensorkiln.frontends.graph.shapes import as_sizes, compatible, show
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import FeedError, UnsupportedError


def freeze(
    session: BaseSession,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    shapes: Mapping[str, Sequence[int]] | None = None,
    name: str = "model",
) -> Function:
    """The function that computes `outputs` from `inputs` (tensors by the names to export).

    Variables are constants with the values they have in `session`.  `shapes` gives the sizes of
    inputs whose dims the graph leaves open; FeedError where one is missing or does not fit.
    UnsupportedError names random ops and assignments, which would need state.
    """
    sizes = dict(shapes or {})
    kinds = {
        tensor: TensorType(_known(key, tensor, sizes.get(key)), tensor.dtype.ir)
        for key, tensor in inputs.items()
    }
    fed = set(inputs.values())
    names = {tensor: key for key, tensor in inputs.items()}
    lowering = Lowering(kinds, _no_shape, session.variable_value, name, names)
    ops = needed([tensor.op for tensor in outputs.values() if tensor not in fed], fed)
    lowering.lower(batches(ops, fed))
    for op in (*lowering.counters, *lowering.flags, *lowering.written):
        raise UnsupportedError(
            f"'{op.name}' ({op.location}) needs state, which an exported function does not keep; "
            "feed its tensor or leave it out"
        )
    results = [lowering.value(tensor) for tensor in outputs.values()]
    return lowering.builder.finish(results, list(outputs))


def _known(key: str, tensor: Tensor, given: Sequence[int] | None) -> tuple[int, ...]:
    sizes = tensor.sizes if given is None else as_sizes(given)
    if sizes is None or None in sizes:
        raise FeedError(
            f"input {key!r} ('{tensor.name}') has the open shape {show(sizes)}; give its sizes in "
            "shapes"
        )
    if not compatible(sizes, tensor.sizes):
        raise FeedError(
            f"input {key!r} ('{tensor.name}') has shape {show(tensor.sizes)}, which "
            f"{show(sizes)} does not fit"
        )
    return tuple(size for size in sizes if size is not None)


def _no_shape(variable: Operation) -> tuple[int, ...]:
    raise AssertionError(f"the frozen variable {variable.name} became a parameter")
