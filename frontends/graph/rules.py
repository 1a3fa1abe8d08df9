"""Shape functions and lowerings that several op families share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.frontends.graph.dtypes import DType, boolean
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import Infer, Lower, Result
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.shapes import ShapeError, Sizes, brackets, broadcast, show
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.runtime.errors import TypeRuleError


def base(tensor: Tensor) -> DType:
    """The tensor's dtype without the mark of a reference."""
    return tensor.dtype.base_dtype


def like_input(op: Operation) -> Sequence[Result]:
    """One output of the first input's dtype and shape."""
    return [(base(op.inputs[0]), op.inputs[0].sizes)]


def predicate(op: Operation) -> Sequence[Result]:
    """One bool output of the first input's shape."""
    return [(boolean, op.inputs[0].sizes)]


def broadcasted(op: Operation) -> Sequence[Result]:
    """One output of the first input's dtype, broadcast over both inputs."""
    return [(base(op.inputs[0]), broadcast(op.inputs[0].sizes, op.inputs[1].sizes))]


def compared(op: Operation) -> Sequence[Result]:
    """One bool output, broadcast over both inputs."""
    return [(boolean, broadcast(op.inputs[0].sizes, op.inputs[1].sizes))]


def fixed(dtype: DType, sizes: Sizes) -> Infer:
    """One output of a given dtype and shape."""
    return lambda op: [(dtype, sizes)]


def unary(name: str) -> Lower:
    """The tensor IR op `name` of the only input."""

    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        return [lowering.builder.one(name, values)]

    return lower


def binary(name: str) -> Lower:
    """The tensor IR op `name` of both inputs, broadcast."""

    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        return [shorthand.binary(lowering.builder, name, *_fitting(op, values))]

    return lower


def comparison(direction: str) -> Lower:
    """The comparison EQ NE LT LE GT or GE of both inputs, broadcast."""

    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        return [shorthand.compare(lowering.builder, direction, *_fitting(op, values))]

    return lower


def _fitting(op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """Both operands; InvalidArgumentError if their shapes, known now, do not broadcast."""
    try:
        shorthand.broadcast_shapes(*(value.shape for value in values))
    except TypeRuleError:
        left, right = (brackets(value.shape) for value in values)
        raise invalid(op, f"Incompatible shapes: {left} vs. {right}") from None
    return values


def formula(build: Callable[..., Formula]) -> Lower:
    """A formula of the inputs."""

    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        return [build(*formulas(lowering.builder, *values)).value]

    return lower


def with_rank(sizes: Sizes, rank: int) -> tuple[int | None, ...]:
    """The sizes of a shape that must have `rank` dims; ShapeError else."""
    if sizes is None:
        return (None,) * rank
    if len(sizes) != rank:
        raise ShapeError(f"Shape must be rank {rank} but is rank {len(sizes)}")
    return sizes


def axis_in(axis: int, sizes: Sequence[int | None]) -> int:
    """A possibly negative axis in [0, rank); ShapeError if there is no such axis."""
    rank = len(sizes)
    if not -rank <= axis < rank:
        raise ShapeError(
            f"Invalid reduction dimension {axis} for input with {rank} dimensions {show(tuple(sizes))}"
        )
    return axis % rank
