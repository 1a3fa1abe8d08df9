"""Folding while importing: a node whose operands are all known is run by the interpreter.

Shapes that a model computes (Shape, Gather, Concat, Cast ...) become known this way.  Folding is
bounded: nothing larger than MAXIMUM_ELEMENTS is made, so weights stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tensorkiln.compiler.evaluate.evaluate import evaluate
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.frontends.onnx.node import Lower, Node
from tensorkiln.frontends.onnx.operand import (
    Bounded,
    Entry,
    Items,
    Maybe,
    Operand,
    Result,
    as_sequence,
    leaves,
    rebuilt,
)
from tensorkiln.frontends.onnx.structure import subgraphs

MAXIMUM_ELEMENTS = 1 << 16
_KEPT = "DequantizeLinear"  # the compiler multiplies by the bytes it takes


def is_foldable(node: Node) -> bool:
    """True if every operand is known and small, and there is at least one.

    A node with subgraphs reads more than its operands, so its nodes are folded one by one.
    """
    if any(subgraphs(node.proto)) or node.proto.op_type == _KEPT:
        return False
    return bool(node.tensors) and all(
        operand.known is not None and operand.known.size <= MAXIMUM_ELEMENTS
        for operand in node.tensors
    )


def fold(node: Node, lower: Lower) -> list[Result] | None:
    """The node's results as arrays, or None where an intermediate would be too large."""
    builder = Builder(node.builder.registry)
    builder.location = node.builder.location
    detached = tuple(entry and _detached(entry) for entry in node.operands)
    found = lower(replace(node, builder=builder, operands=detached))
    results = as_sequence(found)
    if any(v.type.elements > MAXIMUM_ELEMENTS for op in builder.ops for v in op.results):
        return None
    values = [v for result in results for v in _values(result, builder)]
    arrays = iter(evaluate(builder.finish(values), []))
    return [_known(result, arrays) for result in results]


def _detached(entry: Entry) -> Entry:
    return rebuilt(entry, iter([leaf.detached() for leaf in leaves(entry)]))


def _values(result: Result, builder: Builder) -> Sequence[Value]:
    """The values in it, whose arrays `_known` takes in this order."""
    if isinstance(result, Operand | Items | Maybe):
        return [leaf.value(builder) for leaf in leaves(result) if leaf.known is None]
    if isinstance(result, Bounded):
        return (result.value, result.extent.number)
    return (result,) if isinstance(result, Value) else ()


def _known(result: Result, arrays: Iterator[Array]) -> Result:
    """The result as an array; of a padded one what is meant."""
    if isinstance(result, Bounded):
        array, number = np.asarray(next(arrays)), int(next(arrays))
        return array[(slice(None),) * result.extent.axis + (slice(number),)]
    if isinstance(result, Value):
        return np.asarray(next(arrays))
    if isinstance(result, Operand | Items | Maybe):
        return rebuilt(result, iter([_known_leaf(leaf, arrays) for leaf in leaves(result)]))
    return np.asarray(result)


def _known_leaf(leaf: Operand, arrays: Iterator[Array]) -> Operand:
    return leaf if leaf.known is not None else Operand(leaf.name, np.asarray(next(arrays)))
