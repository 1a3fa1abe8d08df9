"""Which ops are elementwise: element i of the result depends on element i of each operand only."""

from __future__ import annotations

from tensorkiln.compiler.ir.function import Op

UNARY = frozenset({
    "abs", "cbrt", "ceil", "convert", "cosine", "count_leading_zeros", "erf", "exponential",
    "exponential_minus_one", "floor", "is_finite", "log", "log_plus_one", "logistic", "negate",
    "not", "popcnt", "round_nearest_afz", "round_nearest_even", "rsqrt", "sign", "sine", "sqrt",
    "tan", "tanh",
})  # fmt: skip
BINARY = frozenset({
    "add", "and", "atan2", "compare", "divide", "maximum", "minimum", "multiply", "or", "power",
    "remainder", "shift_left", "shift_right_arithmetic", "shift_right_logical", "subtract", "xor",
})  # fmt: skip
TERNARY = frozenset({"select", "clamp"})
ELEMENTWISE = UNARY | BINARY | TERNARY


def is_elementwise(op: Op) -> bool:
    """True for elementwise ops whose operands all have the result's shape (select and clamp may
    have scalar operands; those are not counted)."""
    shape = op.results[0].type.shape
    return op.name in ELEMENTWISE and all(v.type.shape == shape for v in op.operands)
