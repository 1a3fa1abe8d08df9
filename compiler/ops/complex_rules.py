"""What each op means for complex operands, in terms of real ones: one table.

An op that is not in the table takes no complex numbers.  `split_complex` replaces ops by it, and
gradients of complex ops are the gradients of what stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from tensorkiln.compiler.ir.dtypes import part_of
from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.complex_eigen import complex_eigh, complex_svd
from tensorkiln.compiler.ops.complex_factors import (
    complex_determinant,
    complex_log_determinant,
    complex_lu,
    complex_qr,
)
from tensorkiln.compiler.ops.complex_functions import FUNCTIONS, Pair, hypot
from tensorkiln.compiler.ops.complex_matrices import (
    complex_cholesky,
    complex_inverse,
    complex_solve,
    complex_triangular_solve,
)
from tensorkiln.compiler.ops.complex_parts import join, parts
from tensorkiln.compiler.ops.fft import fft_parts
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.shorthand import convert, dot_general, zeros_like

# A value, or the real and the imaginary part of a complex one.
Part: TypeAlias = "Value | tuple[Value, Value]"
Rule: TypeAlias = Callable[[Builder, Op, Sequence[Part]], Sequence[Part]]


def involves_complex(op: Op) -> bool:
    """True if an operand or a result is complex."""
    return any(v.dtype.is_complex for v in (*op.operands, *op.results))


def _both(part: Part) -> tuple[Value, Value]:
    assert isinstance(part, tuple)
    return part


def _pick(part: Part, k: int) -> Value:
    return part[k] if isinstance(part, tuple) else part


def _each(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    """The op of the real parts and of the imaginary parts; what is real serves both."""
    results = [
        builder.op(op.name, [_pick(part, k) for part in given], op.attributes, op.regions)
        for k in (0, 1)
    ]
    return list(zip(*results, strict=True))


def _formula(
    function: Callable[..., Pair], builder: Builder, op: Op, given: Sequence[Part]
) -> Sequence[Part]:
    pairs = [tuple(Formula(builder, v) for v in _both(part)) for part in given]
    real, imaginary = function(*pairs)
    return [(real.value, imaginary.value)]


def _abs(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    a, b = (Formula(builder, v) for v in _both(given[0]))
    return [hypot(a, b).value]


def _compare(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    joined = "and" if op.string("direction") == "EQ" else "or"
    (first,), (second,) = (
        builder.op("compare", [_pick(part, k) for part in given], op.attributes) for k in (0, 1)
    )
    return [builder.one(joined, (first, second))]


def _convert(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    dtype = part_of(op.dtype("dtype"))
    (part,) = given
    if isinstance(part, tuple):
        return [(convert(builder, part[0], dtype), convert(builder, part[1], dtype))]
    real = convert(builder, part, dtype)
    return [(real, zeros_like(builder, real))]


def _constant(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    array = op.array("value")
    return [(builder.constant(array.real), builder.constant(array.imag))]


def _iota(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    attributes = {**op.attributes, "dtype": part_of(op.dtype("dtype"))}
    real = builder.one("iota", (), **attributes)
    return [(real, zeros_like(builder, real))]


def _dot(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    """(a + ib)(c + id) = ac - bd + i (ad + bc)"""
    (a, b), (c, d) = map(_both, given)
    numbers = [
        op.ints(name) for name in ("lhs_batch", "rhs_batch", "lhs_contracting", "rhs_contracting")
    ]

    def dot(x: Value, y: Value) -> Value:
        return dot_general(builder, x, y, numbers[0], numbers[1], numbers[2], numbers[3])

    real = builder.one("subtract", (dot(a, c), dot(b, d)))
    return [(real, builder.one("add", (dot(a, d), dot(b, c))))]


def _sort(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    """Keys are real; both parts of a complex operand go with them."""
    flat = [v for part in given for v in (part if isinstance(part, tuple) else (part,))]
    rest = iter(builder.op("sort", flat, op.attributes))
    return [(next(rest), next(rest)) if isinstance(p, tuple) else next(rest) for p in given]


def _fft(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    (part,) = given
    real, imaginary = part if isinstance(part, tuple) else (part, None)
    return [fft_parts(builder, real, imaginary, op.string("fft_type"), op.ints("fft_length"))]


def _cholesky(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    return [complex_cholesky(builder, _both(given[0]), op.flag("lower"))]


def _solve(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    a, b = map(_both, given)
    return [complex_solve(builder, a, b, op.flag("adjoint"))]


def _inverse(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    return [complex_inverse(builder, _both(given[0]))]


def _triangular(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    a, b = map(_both, given)
    left, lower, unit, transposed = (
        op.flag(name) for name in ("left_side", "lower", "unit_diagonal", "transpose_a")
    )
    return [complex_triangular_solve(builder, a, b, left, lower, unit, transposed)]


def _lu(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    real, imaginary, pivots, permutation = complex_lu(builder, _both(given[0]))
    return [(real, imaginary), pivots, permutation]


def _qr(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    return complex_qr(builder, _both(given[0]), op.results[0].shape[-1])


def _eigh(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    return complex_eigh(builder, _both(given[0]))


def _svd(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    return complex_svd(builder, _both(given[0]), op.flag("full_matrices"))


def _determinant(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    return [complex_determinant(builder, _both(given[0]))]


def _log_determinant(builder: Builder, op: Op, given: Sequence[Part]) -> Sequence[Part]:
    return complex_log_determinant(builder, _both(given[0]))


_BY_PARTS = (
    "identity", "stop_gradient", "add", "subtract", "negate", "select", "broadcast_in_dim",
    "reshape", "transpose", "reverse", "slice", "concatenate", "pad", "dynamic_slice",
    "dynamic_update_slice", "gather", "scatter", "reduce",
)  # fmt: skip

COMPLEX_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_BY_PARTS, _each),
    **{name: partial(_formula, function) for name, function in FUNCTIONS.items()},
    "abs": _abs,
    "compare": _compare,
    "convert": _convert,
    "constant": _constant,
    "iota": _iota,
    "dot_general": _dot,
    "sort": _sort,
    "fft": _fft,
    "cholesky": _cholesky,
    "linear_solve": _solve,
    "matrix_inverse": _inverse,
    "triangular_solve": _triangular,
    "lu": _lu,
    "qr": _qr,
    "eigh": _eigh,
    "svd": _svd,
    "determinant": _determinant,
    "log_determinant": _log_determinant,
}


def expand_complex(builder: Builder, op: Op) -> Sequence[Value]:
    """The results of a complex op made of real ops and those that split and join."""
    given = [parts(builder, v) if v.dtype.is_complex else v for v in op.operands]
    found = COMPLEX_RULES[op.name](builder, op, given)
    return [join(builder, *part) if isinstance(part, tuple) else part for part in found]


# Ops that take complex numbers without a rule: the parts themselves, and what runs regions.
OWN_RULES = ("complex", "real", "imag", "while", "case")


def has_complex_body(op: Op) -> bool:
    """True if a gradient of the op is that of `expand_complex`."""
    own = (
        *OWN_RULES, "conjugate", "fft", "constant", "iota", "stop_gradient", "lu", "qr", "eigh",
        "svd", "determinant", "log_determinant",
    )  # fmt: skip
    return op.name in COMPLEX_RULES and op.name not in own and involves_complex(op)
