"""Models that declare a batch of 1, read with another one.

Exporters that trace one image write the 1 into the shapes of reshapes, as in [1, 9216].  Where such
a reshape is of what comes from the input, its first dim is taken to be the operand's (a 0 in ONNX's
words), which for a batch of 1 is the same.  Whether the model then computes each row by itself is
proved afterwards; if it is not, there is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from onnx import GraphProto, NodeProto, ValueInfoProto

from tensorkiln.compiler.ir.function import Array, Function
from tensorkiln.compiler.sizes.rows import mixing_op
from tensorkiln.frontends.onnx.operand import Entry, Operand
from tensorkiln.frontends.onnx.tensors import array_of
from tensorkiln.runtime.errors import UnsupportedError


def batch_name(value: ValueInfoProto) -> str:
    """What an input's declared batch of 1 is called in `dims`; empty where it has none."""
    dims = value.type.tensor_type.shape.dim
    return f"{value.name}.0" if dims and dims[0].dim_value == 1 else ""


def opened_batches(graph: GraphProto, dims: Mapping[str, int]) -> frozenset[str]:
    """The inputs whose declared batch of 1 is given a size."""
    return frozenset(str(v.name) for v in graph.input if batch_name(v) in dims)


def with_open_batches(
    nodes: Sequence[NodeProto], scope: dict[str, Entry | None], inputs: Collection[str]
) -> list[NodeProto]:
    """The nodes, in their order, of which reshapes of what comes from `inputs` keep the first dim.

    The shapes that they then have are added to `scope`.
    """
    constants = _constants(nodes, scope)
    reached = set(inputs)
    found: list[NodeProto] = []
    for proto in nodes:
        if reached.isdisjoint(proto.input):
            found.append(proto)
            continue
        reached.update(name for name in proto.output if name)
        shape = constants.get(proto.input[1]) if len(proto.input) == 2 else None
        if proto.op_type != "Reshape" or proto.domain or shape is None or not _begins(proto, shape):
            found.append(proto)
            continue
        kept = np.array(shape)
        kept[0] = 0
        name = f"{proto.input[1]} of any batch"
        scope[name] = Operand(name, kept)
        renewed = NodeProto()
        renewed.CopyFrom(proto)
        renewed.input[1] = name
        found.append(renewed)
    return found


def _begins(proto: NodeProto, shape: Array) -> bool:
    """True if the shape begins with a 1 that may be the batch."""
    zeros = any(a.name == "allowzero" and a.i for a in proto.attribute)
    return shape.ndim == 1 and shape.size > 0 and int(shape[0]) == 1 and not zeros


def _constants(nodes: Sequence[NodeProto], scope: Mapping[str, Entry | None]) -> dict[str, Array]:
    """What is known of the shapes that reshapes name."""
    found: dict[str, Array] = {}
    for name, entry in scope.items():
        if isinstance(entry, Operand) and entry.known is not None:
            found[name] = entry.known
    for proto in nodes:
        if proto.op_type == "Constant" and not proto.domain:
            for attribute in proto.attribute:
                if attribute.name == "value":
                    what = f"the value of {proto.output[0]!r}"
                    found[proto.output[0]] = array_of(attribute.t, None, what)
                elif attribute.name == "value_ints":
                    found[proto.output[0]] = np.array(attribute.ints, np.int64)
    return found


def check_rows(function: Function, inputs: Collection[str]) -> None:
    """UnsupportedError if rows of a result may depend on other rows of `inputs` than their own."""
    if all(p.shape[0] <= 1 for p in function.parameters if p.name in inputs):
        return
    op = mixing_op(function, inputs)
    if op is None:
        return
    names = ", ".join(f"{name}.0" for name in sorted(inputs))
    place = f" ({op.location})" if str(op.location) else ""
    raise UnsupportedError(
        f"the model declares a batch of 1 and cannot be read with another: behind {op.name}{place}"
        f" a row may depend on other rows; give {names} no size, or declare the dim open in the file"
    )
