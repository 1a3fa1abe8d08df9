"""The second results of TensorFlow's cross-entropy ops: their gradients for the logits.

Graphs from files read them; here a loss has one result.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.kinds import OpKind, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import like_input


def _dense_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """softmax(logits) - labels."""
    logits, labels = values
    shares = lowering.builder.one("softmax", (logits,), axis=len(logits.shape) - 1)
    return [shorthand.binary(lowering.builder, "subtract", shares, labels)]


def _sparse_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """softmax(logits) less one in the column of the label."""
    builder, (logits, labels) = lowering.builder, values
    axis = len(logits.shape) - 1
    shares = Formula(builder, builder.one("softmax", (logits,), axis=axis))
    numbers = shorthand.iota(builder, logits.shape, axis, labels.dtype)
    spread = shorthand.broadcast_in_dim(builder, labels, logits.shape, range(axis))
    hit = Formula(builder, shorthand.compare(builder, "EQ", numbers, spread))
    return [hit.select(shares - 1.0, shares).value]


_FLOAT = {"T": FLOATS}
register(
    OpKind("SoftmaxCrossEntropyBackprop", "features:T labels:T", like_input, _dense_lower, _FLOAT),
    OpKind("SparseSoftmaxCrossEntropyBackprop", "features:T labels:index", like_input,
           _sparse_lower, _FLOAT),
)  # fmt: skip
