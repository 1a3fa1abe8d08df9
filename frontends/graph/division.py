"""Division of integers: by zero it is an error, as in TensorFlow's kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.kinds import Lower
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation


def no_zero_divisor(lower: Lower) -> Lower:
    """`lower`, with a check of the second operand if it holds integers.

    Inside of loops and branches nobody looks: a quotient by zero is any number there.
    """

    def checked(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        divisor = values[1]
        if divisor.dtype.numpy.kind in "iu":
            _check(lowering, op, divisor)
        return lower(lowering, op, values)

    return checked


def _check(lowering: Lowering, op: Operation, divisor: Value) -> None:
    def look(arrays: Sequence[Array]) -> None:
        if not np.all(arrays[0]):
            raise invalid(op, "Integer division by zero")

    known = lowering.known(divisor)
    if known is not None:
        look([known])
    elif lowering.watched:
        nonzero = shorthand.compare(
            lowering.builder, "NE", divisor, shorthand.full_like(lowering.builder, divisor, 0)
        )
        holds = shorthand.reduce(lowering.builder, nonzero, "and", None)
        lowering.check(op, holds, [divisor], look)
