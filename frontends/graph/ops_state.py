"""Variables' tensors, assignments, and whether a variable is initialised."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.dtypes import INDEXES, NUMBERS, DType, boolean
from tensorkiln.frontends.graph.errors import InvalidArgumentError, OutOfRangeError
from tensorkiln.frontends.graph.kinds import OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering, variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.shapes import ShapeError, as_sizes, brackets, compatible
from tensorkiln.frontends.graph.tensor import Tensor


def variable_op(op: Operation, position: int = 0) -> Operation:
    """The VariableV2 op behind the mutable tensor in an input."""
    variable = variable_of(op.inputs[position])
    assert variable is not None
    return variable


def _variable_infer(op: Operation) -> Sequence[Result]:
    dtype = op.attributes["dtype"]
    assert isinstance(dtype, DType)
    return [(dtype.as_ref, as_sizes(op.attributes["shape"]))]


def _current(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    return []  # readers ask for the variable's value where they stand


def assign(
    ref: object, value: object, validate_shape: bool = True, use_locking: bool = True,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Sets a variable; the result is the variable's tensor after that."""
    return make("Assign", (ref, value), name, validate_shape=validate_shape)


def assign_add(
    ref: object, value: object, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Adds to a variable; the result is the variable's tensor after that."""
    return make("AssignAdd", (ref, value), name)


def assign_sub(
    ref: object, value: object, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Subtracts from a variable; the result is the variable's tensor after that."""
    return make("AssignSub", (ref, value), name)


def _assign_infer(op: Operation) -> Sequence[Result]:
    variable, value = op.inputs
    checked = op.type != "Assign" or op.flag("validate_shape")
    if checked and not compatible(variable.sizes, value.sizes):
        left, right = variable.sizes or (), value.sizes or ()
        if len(left) != len(right):
            raise ShapeError(f"Shapes must be equal rank, but are {len(left)} and {len(right)}")
        place = next(k for k, (x, y) in enumerate(zip(left, right, strict=True)) if x != y)
        raise ShapeError(
            f"Dimension {place} in both shapes must be equal, but are {left[place]} and "
            f"{right[place]}. Shapes are {brackets(left)} and {brackets(right)}."
        )
    return [(variable.dtype, variable.sizes if checked else value.sizes)]


def _assign_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    variable = variable_op(op)
    if op.type == "Assign":
        (new,) = values
    else:
        name = "add" if op.type == "AssignAdd" else "subtract"
        operands = (lowering.read(variable), *values)
        _check_shapes(op, operands)
        new = lowering.builder.one(name, operands)
    lowering.write(variable, new)
    return []


def _check_shapes(op: Operation, values: Sequence[Value]) -> None:
    left, right = (list(value.shape) for value in values)
    if left != right:
        raise InvalidArgumentError(
            op.name, op, f"{op.type} requires shapes of both tensors to match. lhs shape= {left} "
            f"rhs shape= {right}\n\t {op.node_text}",
        )  # fmt: skip


def is_variable_initialized(ref: object, name: str | None = None) -> Tensor:
    """Whether the variable is initialised when the run starts."""
    return make("IsVariableInitialized", (ref,), name)


def _initialized_lower(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[Value]:
    return [lowering.flag(variable_op(op))]


def count_up_to(ref: object, limit: int, name: str | None = None) -> Tensor:
    """The variable's value (int32, int64), which is then one more; OutOfRangeError, and no change,
    once it has reached `limit`."""
    return make("CountUpTo", (ref,), name, limit=int(limit))


def _count_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    variable, builder, limit = variable_op(op), lowering.builder, op.integer("limit")
    before = lowering.read(variable)

    def react(arrays: Sequence[Array]) -> None:
        raise OutOfRangeError(op.name, op, f"Reached limit of {limit}\n\t {op.node_text}")

    below = shorthand.compare(builder, "LT", before, shorthand.scalar(builder, limit, before.dtype))
    lowering.check(op, below, (), react)
    one = shorthand.scalar(builder, 1, before.dtype)
    lowering.write(variable, builder.one("add", (before, one)))
    return [lowering.identity(before)]


def _initialized_value_infer(op: Operation) -> Sequence[Result]:
    return [(base(op.inputs[1]), op.inputs[1].sizes)]


def _initialized_value_lower(
    lowering: Lowering, op: Operation, values: Sequence[Value]
) -> Sequence[Value]:
    variable = variable_op(op)
    current = lowering.read(variable, checked=False)
    flag = lowering.flag(variable)
    return [shorthand.select(lowering.builder, flag, current, values[0])]


_NUMBER = {"T": NUMBERS}
register(
    OpKind("VariableV2", "", _variable_infer, _current),
    OpKind("Assign", "ref:&T value:T", _assign_infer, _assign_lower, writes=True),
    OpKind("AssignAdd", "ref:&T value:T", _assign_infer, _assign_lower, _NUMBER, writes=True),
    OpKind("AssignSub", "ref:&T value:T", _assign_infer, _assign_lower, _NUMBER, writes=True),
    OpKind("CountUpTo", "ref:&T", lambda op: [(base(op.inputs[0]), ())], _count_lower,
           {"T": INDEXES}, writes=True, differentiable=False, effects=True),
    OpKind("IsVariableInitialized", "ref:&T", lambda op: [(boolean, ())], _initialized_lower,
           differentiable=False),
    OpKind("InitializedValue", "ref:&T initial:T", _initialized_value_infer,
           _initialized_value_lower),
)  # fmt: skip
