"""Open sizes through products of matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import is_open
from tensorkiln.compiler.sizes.relaying import alike
from tensorkiln.compiler.sizes.samples import Sampled


def _dot(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    op = sampled.op
    batch = op.ints("lhs_batch"), op.ints("rhs_batch")
    contracted = op.ints("lhs_contracting"), op.ints("rhs_contracting")
    operands = alike(bounder, operands, [*zip(*batch, strict=True), *zip(*contracted, strict=True)])
    a, b = operands
    # Both sides: what is not in use may be a NaN, which zero times is none.
    sides = [bounder.masked_with(x, axes, 0) for x, axes in zip(operands, contracted, strict=True)]
    (made,) = bounder.builder.append(op, sides)
    dims = [a.dims[i] if is_open(a.dims[i]) else b.dims[j] for i, j in zip(*batch, strict=True)]
    for x, own, summed in zip(operands, batch, contracted, strict=True):
        dims += [dim for axis, dim in enumerate(x.dims) if axis not in (*own, *summed)]
    return [Open(made, tuple(dims))]


CONTRACT_RULES: Mapping[str, Rule] = {"dot_general": _dot, "integer_dot": _dot}
