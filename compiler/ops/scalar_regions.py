"""What ops share whose regions say what is done with scalars: folds, choices and comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.dtypes import BOOL, DType
from tensorkiln.compiler.ir.function import Function, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.kernel.expr import Buffer, Expr
from tensorkiln.compiler.ops.checks import require
from tensorkiln.compiler.ops.record import LoopContext, Types

PARALLEL_WORK = 1 << 14  # applications of a region; fewer are not worth waking threads for


def scalars(dtypes: Sequence[DType]) -> list[TensorType]:
    """The types of scalars."""
    return [TensorType((), dtype) for dtype in dtypes]


def check_region(
    region: Function, takes: Sequence[DType], gives: Sequence[DType], constraint: str
) -> None:
    """Constraint: the region takes and gives scalars of these dtypes."""
    taken, given = ([v.type for v in vs] for vs in (region.parameters, region.results))
    for what, found, wanted in (("takes", taken, scalars(takes)), ("gives", given, scalars(gives))):
        words = [", ".join(map(str, types)) for types in (found, wanted)]
        message = f"{constraint}: the region {region.name} {what} ({words[0]}), not ({words[1]})"
        require(found == wanted, message)


def check_folds(types: Types, regions: Sequence[Function]) -> Types:
    """C1: the operands are inputs of one shape and then a scalar to start from for each, of its
    dtype.  C2: one region takes the state and an element of each input and gives the new state.
    Returns the inputs' types."""
    count = len(types) // 2
    inputs, initial = types[:count], types[count:]
    require(count > 0 and len(types) == 2 * count, f"C1: {len(types)} operands are not in pairs")
    same = all(t.shape == inputs[0].shape for t in inputs)
    require(same, f"C1: the inputs' shapes differ: {', '.join(map(str, inputs))}")
    for kind, start in zip(inputs, initial, strict=True):
        require(
            start == TensorType((), kind.dtype), f"C1: {start} is no start for a fold of {kind}"
        )
    require(len(regions) == 1, f"C2: takes one region, not {len(regions)}")
    dtypes = [t.dtype for t in inputs]
    check_region(regions[0], [*dtypes, *dtypes], dtypes, "C2")
    return inputs


def check_choice(dtype: DType, region: Function, constraint: str) -> None:
    """Constraint: the region asks something of two scalars."""
    check_region(region, [dtype, dtype], [BOOL], constraint)


def region_flops(region: Function) -> int:
    """Operations of one application."""
    return sum(op.name != "constant" for op in region.ops)


class State:
    """The running values of a fold, in the memory of a thread."""

    def __init__(self, context: LoopContext, op: Op) -> None:
        self.context, self.region = context, op.regions[0]
        count = len(op.operands) // 2
        self.inputs, starts = op.operands[:count], op.operands[count:]
        self.starts = [context.read(start, ()) for start in starts]
        self.buffers: list[Buffer] = []
        for value in self.starts:
            self.buffers.append(context.local((), value.dtype))
        for buffer, value in zip(self.buffers, self.starts, strict=True):
            context.store(buffer, (), value)

    def values(self) -> list[Expr]:
        """The values now."""
        return [self.context.load(buffer, ()) for buffer in self.buffers]

    def fold(self, elements: Sequence[Expr]) -> None:
        """Takes in an element of each input."""
        after = self.context.apply(self.region, [*self.values(), *elements])
        for buffer, value in zip(self.buffers, after, strict=True):
            self.context.store(buffer, (), value)
