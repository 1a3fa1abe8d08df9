"""Matrices that are not square, have no inverse or no spectrum: an error of the run, with the texts
of TensorFlow's kernels.

Inside of loops and branches nobody looks: what has no inverse is infinite or NaN there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.linalg_lu import lu
from tensorkiln.compiler.ops.linalg_solve import log_determinant
from tensorkiln.compiler.ops.matrices import diagonal
from tensorkiln.frontends.graph.arrays import Array
from tensorkiln.frontends.graph.index_checks import invalid
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation

NOT_INVERTIBLE = "Input is not invertible."
SYSTEM_NOT_INVERTIBLE = "Input matrix is not invertible."
NO_SPECTRUM = "Self-adjoint eigen decomposition was not successful. The input might not be valid."


def check_square(op: Operation, matrices: Value) -> None:
    """The value holds square matrices; its shape is known when the op is lowered."""
    if matrices.type.rank < 2:
        raise invalid(op, f"Input tensor 0 must have rank >= 2, got {matrices.type.rank}")
    if matrices.shape[-2] != matrices.shape[-1]:
        raise invalid(op, "Input matrix must be square.")


def check_system(op: Operation, matrices: Value, right: Value) -> None:
    """The right sides have as many rows as the square matrices."""
    check_square(op, matrices)
    if right.type.rank < 2:
        raise invalid(op, f"Input tensor 1 must have rank >= 2, got {right.type.rank}")
    if right.shape[-2] != matrices.shape[-1]:
        raise invalid(op, "Input matrix and rhs are incompatible.")


def check_invertible(
    lowering: Lowering, op: Operation, matrices: Value, message: str = NOT_INVERTIBLE
) -> None:
    """No pivot of the matrices is 0 or NaN.

    The factors are those that the op itself needs; only complex matrices, which are solved as real
    ones, are factored once more.
    """
    if not lowering.watched:
        return
    builder = lowering.builder
    if matrices.dtype.is_complex:
        _, found = log_determinant(builder, matrices)
        least = -math.inf
    else:
        factors, _, _ = lu(builder, matrices)
        found, least = builder.one("abs", (diagonal(builder, factors),)), 0.0
    _check(lowering, op, found, least, message)


def check_spectrum(lowering: Lowering, op: Operation, eigenvalues: Value) -> None:
    """No eigenvalue is NaN."""
    if lowering.watched:
        sizes = lowering.builder.one("abs", (eigenvalues,))
        _check(lowering, op, sizes, -1.0, NO_SPECTRUM)


def check_inverses(lowering: Lowering, op: Operation, made: Sequence[Op]) -> None:
    """What a gradient inverts, as that of a determinant does, can be inverted."""
    for inner in made:
        if inner.name == "matrix_inverse":
            check_invertible(lowering, op, inner.operands[0])


def _check(lowering: Lowering, op: Operation, found: Value, least: float, message: str) -> None:
    def react(arrays: Sequence[Array]) -> None:
        raise invalid(op, message)

    builder = lowering.builder
    above = shorthand.compare(builder, "GT", found, shorthand.full_like(builder, found, least))
    lowering.check(op, shorthand.reduce(builder, above, "and", None), (), react)
