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
from tensorkiln.frontends.onnx.node import Bounded, Lower, Node, Operand, Result, as_sequence
from tensorkiln.frontends.onnx.structure import subgraphs

MAXIMUM_ELEMENTS = 1 << 16


def is_foldable(node: Node) -> bool:
    """True if every operand is known and small, and there is at least one.

    A node with subgraphs reads more than its operands, so its nodes are folded one by one.
    """
    if any(subgraphs(node.proto)):
        return False
    given = [operand for operand in node.operands if operand is not None]
    return bool(given) and all(
        operand.known is not None and operand.known.size <= MAXIMUM_ELEMENTS for operand in given
    )


def fold(node: Node, lower: Lower) -> list[Result] | None:
    """The node's results as arrays, or None where an intermediate would be too large."""
    builder = Builder(node.builder.registry)
    builder.location = node.builder.location
    detached = tuple(operand and operand.detached() for operand in node.operands)
    found = lower(replace(node, builder=builder, operands=detached))
    results = as_sequence(found)
    if any(v.type.elements > MAXIMUM_ELEMENTS for op in builder.ops for v in op.results):
        return None
    values = [v for result in results for v in _values(result)]
    arrays = iter(evaluate(builder.finish(values), []))
    return [_known(result, arrays) for result in results]


def _values(result: Result) -> Sequence[Value]:
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
    return result if isinstance(result, Operand) else np.asarray(result)
