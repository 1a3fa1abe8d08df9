"""Values that are made of constants only, without a new constant in the function."""

from __future__ import annotations

import numpy as np

from tensorkiln.compiler.evaluate import evaluate_op
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.passes.rewriting import Rewriter, static

_OPS = frozenset((
    "add", "subtract", "multiply", "convert", "negate", "reshape", "transpose", "broadcast_in_dim",
    "reverse", "slice", "dequantize",
))  # fmt: skip
_MOST_STEPS = 8


def known(rewriter: Rewriter, value: Value, steps: int = _MOST_STEPS) -> Array | None:
    """The array that `value` is, if a few arithmetic and moving ops make it of constants."""
    array = rewriter.literal(value)
    if array is not None:
        return array
    op = rewriter.producer(value)
    if op is None or op.name not in _OPS or not steps or not static(*op.operands, *op.results):
        return None
    arrays = [known(rewriter, operand, steps - 1) for operand in op.operands]
    found = [a for a in arrays if a is not None]
    if len(found) < len(arrays):
        return None
    with np.errstate(all="ignore"):
        return np.asarray(evaluate_op(op, found)[0])
