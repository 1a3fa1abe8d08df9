"""What composites share: a body of primitives gives their meaning, gradient and lowering."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Attributes, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.elementwise import HALVES
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.record import (
    Body,
    Composite,
    Cost,
    FromBody,
    Gradient,
    OpRecord,
    TypeRule,
    bytes_moved,
)
from tensorkiln.runtime.errors import TypeRuleError


def composite(
    name: str,
    attributes: Mapping[str, str],
    type_rule: TypeRule,
    body: Body,
    gradient: Gradient | None = None,
    *,
    flops: int,
) -> OpRecord:
    """The record of a composite; without a `gradient` its body is differentiated.

    `flops` are counted for each element of the first operand.
    """
    return OpRecord(
        name,
        attributes,
        type_rule,
        FromBody(body),
        FromBody(body) if gradient is None else gradient,
        Composite(body),
        _cost(flops),
    )


def _cost(flops: int) -> Callable[[Op], Cost]:
    return lambda op: Cost(flops * op.operands[0].type.elements, bytes_moved(op))


def axis_attribute(constraint: str, name: str, attributes: Attributes, kind: TensorType) -> int:
    """The attribute `name`, an axis of `kind` counted from the front."""
    axis = attributes[name]
    if not isinstance(axis, int) or not 0 <= axis < kind.rank:
        raise TypeRuleError(f"{constraint}: {name} is {axis}, but the operand is {kind}")
    return axis


def widened(x: Formula) -> Formula:
    """A 16-bit float in f32, where the body computes; everything else as it is."""
    return x.convert(F32) if x.value.dtype in HALVES else x
