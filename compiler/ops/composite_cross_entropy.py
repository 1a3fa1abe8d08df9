"""softmax_cross_entropy: -sum(labels * log_softmax(logits)) along one axis.

The gradient for the logits is softmax - labels whatever the labels add up to, as frameworks
define it; for labels that add up to one that is the derivative.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.composite import axis_attribute, composite, widened
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.record import Types
from tensorkiln.compiler.ops.rules import FLOATS, check_count, check_dtype
from tensorkiln.compiler.ops.shorthand import expand_dims
from tensorkiln.runtime.errors import TypeRuleError


def _rule(types: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: there are two operands.  C2: they hold floats.  C3: axis is one of their dims.
    C4: both have the same type."""
    check_count(types, 2)
    check_dtype("C2", types[0], FLOATS)
    axis = axis_attribute("C3", "axis", attributes, types[0])
    if types[0] != types[1]:
        raise TypeRuleError(f"C4: logits {types[0]} and labels {types[1]} differ")
    shape = types[0].shape
    return (types[0].with_shape((*shape[:axis], *shape[axis + 1 :])),)


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    logs, labels = _logs_and_labels(builder, op)
    return [(-(logs * labels).sum((op.integer("axis"),))).convert(op.result.dtype).value]


def _logs_and_labels(builder: Builder, op: Op) -> tuple[Formula, Formula]:
    logits, labels = map(widened, formulas(builder, *op.operands))
    return logits.apply("log_softmax", axis=op.integer("axis")), labels


def _gradient(
    builder: Builder, op: Op, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    (cotangent,) = cotangents
    if cotangent is None:
        return [None, None]
    logs, labels = _logs_and_labels(builder, op)
    column = expand_dims(builder, cotangent, (op.integer("axis"),))
    g, dtype = widened(Formula(builder, column)), op.operands[0].dtype
    by_logits = (logs.apply("exponential") - labels) * g
    return [by_logits.convert(dtype).value, (-(logs * g)).convert(dtype).value]


RECORDS = (composite("softmax_cross_entropy", {"axis": "int"}, _rule, _body, _gradient, flops=25),)
