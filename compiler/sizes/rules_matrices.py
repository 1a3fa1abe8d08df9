"""Open sizes through linear algebra and Fourier transforms.

Any number of matrices may be open. Where their sizes are open, what is not in use is filled so that
the factors of what is in use are those of it alone:

    cholesky        A 0       substitution   A 0   b      lu    A   .      qr, jacobi   A 0
                    0 1                      0 1   0            nan .                   0 0

In lu no NaN becomes a pivot, so rows beyond stay behind all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.matrices import identity
from tensorkiln.compiler.ops.shorthand import select
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Dims, Factors, is_open
from tensorkiln.compiler.sizes.rules_elements import elementwise
from tensorkiln.compiler.sizes.samples import Sampled


def _outer(sampled: Sampled, operands: Sequence[Open]) -> Dims:
    """The dims of the stack of matrices."""
    rank = sampled.op.operands[0].type.rank - 2
    found: list[Factors] = []
    for axis in range(rank):
        opened = [x.dims[axis] for x in operands if is_open(x.dims[axis])]
        found.append(opened[0] if opened else operands[0].dims[axis])
    return tuple(found)


def _results(sampled: Sampled, operands: Sequence[Open], made: Sequence[Value]) -> Sequence[Open]:
    outer = _outer(sampled, operands)
    return [
        Open(v, (*outer, *(sampled.dim(axis, k) for axis in range(len(outer), v.type.rank))))
        for k, v in enumerate(made)
    ]


def _with_ones(bounder: Bounder, a: Open) -> Value:
    """Square matrices with those of an identity where nothing is in use."""
    inner = tuple(() if axis < len(a.dims) - 2 else dim for axis, dim in enumerate(a.dims))
    used = bounder.valid(a.value.shape, inner)
    if used is None:
        return a.value
    ones = identity(bounder.builder, a.value.shape, a.value.dtype)
    return select(bounder.builder, used, a.value, ones)


def _cholesky(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    made = bounder.builder.append(sampled.op, [_with_ones(bounder, operands[0])])
    return _results(sampled, operands, made)


def _substitution(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    a, b = operands
    rows = (len(b.dims) - 2,)
    values = [_with_ones(bounder, a), bounder.masked_with(b, rows, 0)]
    return _results(sampled, operands, bounder.builder.append(sampled.op, values))


def _lu(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (a,) = operands
    value = bounder.masked_with(a, (len(a.dims) - 2,), float("nan"))
    return _results(sampled, operands, bounder.builder.append(sampled.op, [value]))


def _zero_filled(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Rows and columns of zeros are left as they are."""
    values = [
        # vectors of numbers that scale reflections have one dim less than matrices
        bounder.masked_with(x, [a for a in range(len(x.dims)) if a >= len(operands[0].dims) - 2], 0)
        for x in operands
    ]
    return _results(sampled, operands, bounder.builder.append(sampled.op, values))


def _rotations(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    """Matrices that are not in use are zero, so that nobody waits for them."""
    (x,) = operands
    value = bounder.masked_with(x, range(len(x.dims)), 0)
    return _results(sampled, operands, bounder.builder.append(sampled.op, [value]))


def _fft(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    (x,) = operands
    op = sampled.op
    outer = len(x.dims) - len(op.ints("fft_length"))
    for axis in range(outer, len(x.dims)):
        if is_open(x.dims[axis]):
            raise sampled.unsupported(
                f"dim {axis} is transformed: its factors and tables are those of one length"
            )
    if not sampled.same("fft_length"):
        raise sampled.unsupported("the length of the transform depends on the sizes")
    (made,) = bounder.builder.append(op, [x.value])
    inner = (sampled.dim(axis) for axis in range(outer, len(x.dims)))
    return [Open(made, (*x.dims[:outer], *inner))]


MATRIX_RULES: Mapping[str, Rule] = {
    "cholesky": _cholesky,
    "substitution": _substitution,
    "lu": _lu,
    "householder_qr": _zero_filled,
    "householder_product": _zero_filled,
    "jacobi_eigen": _rotations,
    "jacobi_svd": _rotations,
    "fft": _fft,
    **dict.fromkeys(("complex", "real", "imag", "conjugate"), elementwise),
}
