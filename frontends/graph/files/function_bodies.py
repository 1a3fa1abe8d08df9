"""Functions of a definition's library as nodes: bodies copied under names of their own.

In a function `node:output:2` is the third tensor of an output by its name, and an argument goes by
its name alone; in a graph `node:2` is output number 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.frontends.graph.files.graph_errors import BrokenGraphError
from tensorkiln.frontends.graph.files.messages import Proto
from tensorkiln.frontends.graph.files.node_order import parse_input
from tensorkiln.frontends.graph.files.proto_graph import NodeDef

OUTPUTS: Mapping[str, tuple[str, ...]] = {
    line.split()[0]: tuple(line.split()[1:])
    for line in """
BroadcastGradientArgs r0 r1
CTCGreedyDecoder decoded_indices decoded_values decoded_shape log_probability
FusedBatchNorm y batch_mean batch_variance reserve_space_1 reserve_space_2
FusedBatchNormGrad x_backprop scale_backprop offset_backprop reserve_space_3 reserve_space_4
FusedBatchNormGradV2 x_backprop scale_backprop offset_backprop reserve_space_3 reserve_space_4
FusedBatchNormGradV3 x_backprop scale_backprop offset_backprop reserve_space_4 reserve_space_5
FusedBatchNormV2 y batch_mean batch_variance reserve_space_1 reserve_space_2
FusedBatchNormV3 y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3
ListDiff out idx
LogMatrixDeterminant sign log_abs_determinant
Lu lu p
MaxPoolWithArgmax output argmax
Merge output value_index
Qr q r
SelfAdjointEigV2 e v
SoftmaxCrossEntropyWithLogits loss backprop
SparseSoftmaxCrossEntropyWithLogits loss backprop
Svd s u v
Switch output_false output_true
TensorArrayGradV3 grad_handle flow_out
TensorArrayV3 handle flow
TensorListPopBack output_handle tensor
TopK values indices
TopKV2 values indices
Unique y idx
UniqueWithCounts y idx count
UniqueV2 y idx
""".strip().splitlines()
}
"""The outputs' names of op types that have several; all others have one, which may be a list."""


@dataclass(frozen=True)
class Body:
    """A function's nodes under their new names; its results, and what must have run at its end."""

    nodes: tuple[Proto, ...]
    outputs: tuple[str, ...]
    control: tuple[str, ...]


def body(
    function: Proto,
    prefix: str,
    arguments: Sequence[str],
    attributes: Mapping[str, Proto],
    before: Sequence[str] = (),
) -> Body:
    """A copy of a function's body for these arguments, its nodes below `prefix`.

    `attributes` are those of the node that calls it; all its nodes wait for those in `before`.
    ModelError for a function that is broken or called with another number of arguments.
    """
    signature = function.signature
    if len(signature.input_arg) != len(arguments):
        raise BrokenGraphError(
            f"the function {signature.name!r} takes {len(signature.input_arg)} arguments and is "
            f"given {len(arguments)}"
        )
    given = {str(a.name): value for a, value in zip(signature.input_arg, arguments, strict=True)}
    types = {str(node.name): str(node.op) for node in function.node_def}

    def graph_name(text: str) -> str:
        if text.startswith("^"):
            name = text[1:]
            return f"^{parse_input(given[name])[0]}" if name in given else f"^{prefix}/{name}"
        if text in given:
            return given[text]
        name, output, number = (*text.split(":"), "", "0")[:3]
        if name not in types or not number.isdigit():
            raise BrokenGraphError(
                f"the function {signature.name!r} reads {text!r}, which it lacks"
            )
        named = OUTPUTS.get(types[name], ())
        place = named.index(output) if output in named else int(number)
        return f"{prefix}/{name}:{place}" if place else f"{prefix}/{name}"

    nodes = []
    for node in function.node_def:
        copy = NodeDef.FromString(node.SerializeToString())
        copy.name = f"{prefix}/{node.name}"
        del copy.input[:]
        copy.input.extend(graph_name(text) for text in node.input)
        copy.input.extend(text for text in before if node.op != "Const")
        for value in copy.attr.values():
            if value.placeholder in attributes:
                value.CopyFrom(attributes[value.placeholder])
        nodes.append(copy)
    outputs = tuple(graph_name(function.ret[a.name]) for a in signature.output_arg)
    control = tuple(graph_name(f"^{name}") for name in function.control_ret.values())
    return Body(tuple(nodes), outputs, control)


def needed(nodes: Iterable[Proto], roots: Iterable[str]) -> list[Proto]:
    """The nodes that the roots need, inputs first."""
    known = {str(node.name): node for node in nodes}
    ordered: list[Proto] = []
    seen: set[str] = set()
    waiting = [(parse_input(text)[0], False) for text in roots]
    while waiting:
        name, ready = waiting.pop()
        if ready:
            ordered.append(known[name])
        elif name in known and name not in seen:
            seen.add(name)
            waiting.append((name, True))
            waiting += [(parse_input(text)[0], False) for text in known[name].input]
    return ordered
