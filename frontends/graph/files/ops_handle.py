"""A variable handed on: the op type that stands for TensorFlow's Identity or Switch of a handle."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation


def _infer(op: Operation) -> Sequence[Result]:
    return [(op.inputs[0].dtype, op.inputs[0].sizes)]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return []  # readers ask for the variable's value where they stand


register(OpKind("PassVariable", "ref:&T", _infer, _lower))
