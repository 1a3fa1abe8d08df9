"""Tables of constants, looked up element by element."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal

import numpy as np

from tensorkiln.compiler.ir.dtypes import I32
from tensorkiln.compiler.ops.formula import Formula

_DIGITS = Context(prec=40)


def exact_log(x: float) -> float:
    """The natural logarithm, rounded correctly on every machine."""
    return float(_DIGITS.ln(Decimal(x)))


def look_up(table: Sequence[float], number: Formula) -> Formula:
    """`table[number]` in f64; a number above the last entry's means the last."""
    builder = number.builder
    entries = builder.constant(np.array(table, np.float64))
    found = builder.one(
        "gather",
        (entries, number.convert(I32).value),
        offset_dims=(),
        collapsed_slice_dims=(0,),
        start_index_map=(0,),
        index_vector_dim=number.value.type.rank,
        slice_sizes=(1,),
    )
    return Formula(builder, found)
