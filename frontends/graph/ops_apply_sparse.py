"""The update ops of the optimizers for gradients of which only some rows are there.

Rows with the same index are added up first; then the optimizer's formula is applied to the rows
that are there, and to those only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.kinds import Lower, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_apply import UPDATES, Update
from tensorkiln.frontends.graph.ops_state import variable_op
from tensorkiln.frontends.graph.rows import add_rows, put_rows


def apply_rows(kind: str, inputs: Sequence[object], attributes: Mapping[str, object]) -> Operation:
    """The update op `kind` for a gradient of rows; indices follow the gradient in the inputs."""
    return apply_op(f"Sparse{kind}", inputs, None, attributes)


def _infer(op: Operation) -> Sequence[Result]:
    return [(op.inputs[0].dtype, op.inputs[0].sizes)]


def _gradient_place(inputs: str) -> int:
    """The place of the gradient among the inputs that are not mutable."""
    names = [text.split(":")[0] for text in inputs.split() if "&" not in text]
    return names.index("grad" if "grad" in names else "delta")


def _updating(update: Update, place: int) -> Lower:
    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        builder = lowering.builder
        mutable = [k for k, argument in enumerate(op.kind.arguments) if argument.is_ref]
        variables = [variable_op(op, k) for k in mutable]
        current = [lowering.read(variable) for variable in variables]
        indices, gradient = values[place + 1], values[place]
        summed = _summed(builder, current[0], indices, gradient)
        rows = [Formula(builder, shorthand.take(builder, value, indices)) for value in current]
        others = [Formula(builder, value) for value in values]
        others[place : place + 2] = [Formula(builder, summed)]
        changed = update(op, rows, others)
        for variable, whole, new in zip(variables, current, changed, strict=True):
            lowering.write(variable, put_rows(builder, whole, indices, new.value))
        return []

    return lower


def _summed(builder: Builder, like: Value, indices: Value, rows: Value) -> Value:
    """For each row of the gradient the sum of all rows of the same index.

    A table as long as the variable (of numbers, not of rows) says which row of the gradient is the
    last with an index; the others are added to that one.
    """
    (count,) = indices.shape
    if not count:
        return rows
    table = shorthand.full(builder, like.shape[:1], 0, I32)
    numbers = shorthand.iota(builder, (count,), 0, I32)
    last = shorthand.take(builder, put_rows(builder, table, indices, numbers), indices)
    total = add_rows(builder, shorthand.zeros_like(builder, rows), last, rows)
    return shorthand.take(builder, total, last)


def _sparse(inputs: str) -> str:
    """The inputs with indices after the gradient."""
    parts = []
    for text in inputs.split():
        parts.append(text)
        if text.split(":")[0] in ("grad", "delta"):
            parts.append("indices:index")
    return " ".join(parts)


register(
    *(
        OpKind(
            f"Sparse{name}", _sparse(inputs), _infer,
            _updating(update, _gradient_place(inputs)), {"T": FLOATS}, writes=True,
        )
        for name, inputs, update in UPDATES
    )
)  # fmt: skip
