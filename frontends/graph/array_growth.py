"""TensorArrays that grow in a loop: their sizes are found by a run of the loop that only counts.

The counting loop has the loop's own regions, but in the place of each growing array the number of
items that it must have, which is all that its writes change.  The host reads the numbers, so that
the loop itself is compiled for arrays of their sizes; what the numbers do not depend on is left
out of the counting loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.host import HostContext, host_only
from tensorkiln.frontends.graph.kinds import TABLE, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_tensor_array import pad_items
from tensorkiln.frontends.graph.region_lowering import RegionLowering, outside_value
from tensorkiln.frontends.graph.regions import Region, regions_of
from tensorkiln.frontends.graph.rules import base, fixed
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.tensor_array import TensorArray


def size_now(array: TensorArray) -> Tensor:
    """The number of items before the loop, which stands for the array where items are counted."""
    return array.size("size")


def count_items(
    graph: Graph, starts: Sequence[Tensor], regions: Sequence[Region], places: Sequence[int]
) -> Sequence[Tensor]:
    """The number of trips of a loop, and that of the items of each array in `places`."""
    captured = dict.fromkeys(tensor for region in regions for tensor in region.captured)
    before = dict.fromkeys(op for region in regions for op in region.before)
    attributes = {"regions": tuple(regions), "places": tuple(places)}
    with graph.control_dependencies(list(before)):
        kind = TABLE["ArraySizes"]
        return graph.create_op(kind, (*starts, *captured), attributes, "ArraySizes").outputs


def rows_of(number: Tensor) -> Tensor:
    """A bool vector of that length: its shape is known when what reads it is compiled."""
    return make("RowsOfCount", (number,))


def grown(array: TensorArray, rows: Tensor) -> Tensor:
    """The array's flow with as many items as there are rows, new ones zero."""
    return make("TensorArrayGrow", (array.flow, rows))


def _infer(op: Operation) -> Sequence[Result]:
    places = op.attributes["places"]
    assert isinstance(places, tuple)
    return [(dtypes.int32, ())] * (1 + len(places))


def _count(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    test, body = regions_of(op)
    places = op.attributes["places"]
    assert isinstance(places, tuple)
    start = list(values[: len(body.parameters)])
    scalar = TensorType((), I32)
    step, more = RegionLowering(lowering, "body"), RegionLowering(lowering, "cond")
    trips = step.builder.parameter("trips", scalar)
    more.builder.parameter("trips", scalar)
    after = step.run(body, [v.type for v in start])
    if [v.type for v in after] != [v.type for v in start]:
        raise InvalidArgumentError(
            op.name, op,
            f"'{op.name}' ({op.location}): shapes change from trip to trip in a loop with a "
            "TensorArray of dynamic size; give the array the size it needs",
        )  # fmt: skip
    (predicate,) = more.run(test, [v.type for v in start])
    keys = list(dict.fromkeys((*step.changed(), *step.outside, *more.outside)))
    one = shorthand.scalar(step.builder, 1, I32)
    counted = [step.builder.one("add", (trips, one)), *after]
    state = [step.next_value(key) for key in keys]
    first = 1 + len(start)
    regions = (
        more.function(first, keys, [shorthand.reshape(more.builder, predicate, ())]),
        step.function(first, keys, [*counted, *state]),
    )
    zero = shorthand.scalar(lowering.builder, 0, I32)
    outer = [outside_value(lowering, key) for key in keys]
    # Neither variables nor random states are left changed: the loop itself starts from them.
    found = lowering.builder.op("while", (zero, *start, *outer), {"bound": -1}, regions)
    return [found[0], *(found[1 + int(place)] for place in places)]


def _rows_host(context: HostContext, op: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    return [np.zeros(max(int(arrays[0]), 0), np.bool_)]


def _grow(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    flow, rows = values
    return [pad_items(lowering, flow, int(rows.shape[0]))]


register(
    OpKind("ArraySizes", "input:any*", _infer, _count, differentiable=False),
    OpKind("RowsOfCount", "count:int32", fixed(dtypes.boolean, (None,)), host_only,
           host=_rows_host, differentiable=False),
    OpKind("TensorArrayGrow", "flow:T rows:bool", lambda op: [(base(op.inputs[0]), None)], _grow),
)  # fmt: skip
