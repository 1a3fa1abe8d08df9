"""A vectorised numpy evaluator for straight-line kernels, and distances in ulp."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from tensorkiln.compiler.ir.dtypes import DType
from tensorkiln.compiler.kernel.expr import (
    Binary,
    Bitcast,
    Const,
    Convert,
    Expr,
    Fma,
    Select,
    Unary,
    Var,
)  # fmt: skip
from tensorkiln.compiler.kernel.math.builder import LetBuilder
from tensorkiln.compiler.kernel.math.expand import expand_expr
from tensorkiln.compiler.kernel.stmt import Let

Array = np.ndarray
CHUNK = 1 << 15  # elements that stay in cache

_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "shl": np.left_shift, "eq": np.equal,
    "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "shr_logical": np.right_shift,
}  # fmt: skip
_UNARY: dict[str, Callable[[Array], Array]] = {
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "trunc": np.trunc,
    "is_nan": np.isnan,
}


def fused(a: Array, b: Array, c: Array) -> Array:
    """a * b + c rounded once, but for double roundings of about 1 in 2**11 (f64) or 2**29 (f32)."""
    if a.dtype == np.float32:
        return (a.astype(np.float64) * b + c).astype(np.float32)
    high = a * b
    xh, yh = (v * 134217729.0 - (v * 134217729.0 - v) for v in (a, b))
    xl, yl = a - xh, b - yh
    low = ((xh * yh - high) + xh * yl + xl * yh) + xl * yl
    exact = (high.astype(np.longdouble) + c) + np.where(np.isfinite(low), low, 0)
    return np.where(np.isfinite(high), exact.astype(np.float64), high + c)


@dataclass(frozen=True)
class Code:
    """The statements that compute one op, and the value they leave."""

    lets: tuple[Let, ...]
    result: Expr
    parameters: tuple[Var, ...]

    def __call__(self, *arrays: Array) -> Array:
        """Evaluates the code on arrays of one length."""
        size = arrays[0].size
        parts = [
            self._chunk([array[start : start + CHUNK] for array in arrays])
            for start in range(0, size, CHUNK)
        ]
        return np.concatenate(parts)

    def _chunk(self, arrays: Sequence[Array]) -> Array:
        known: dict[str, Array] = {
            v.name: array for v, array in zip(self.parameters, arrays, strict=True)
        }
        with np.errstate(all="ignore"):
            for let in self.lets:
                known[let.var.name] = self._value(let.value, known)
            result = self._value(self.result, known)
        return np.broadcast_to(result, arrays[0].shape)

    def _value(self, expr: Expr, known: dict[str, Array]) -> Array:
        def value(e: Expr) -> Array:
            return self._value(e, known)

        match expr:
            case Const(number, dtype):
                return np.asarray(number, dtype.numpy)
            case Var(name):
                return known[name]
            case Unary(op, x):
                return _UNARY[op](value(x))
            case Binary(op, x, y):
                return _BINARY[op](value(x), value(y))
            case Fma(x, y, z):
                return fused(value(x), value(y), value(z))
            case Select(condition, x, y):
                return np.where(value(condition), value(x), value(y))
            case Convert(x, dtype):
                return value(x).astype(dtype.numpy)
            case Bitcast(x, dtype):
                return value(x).view(dtype.numpy)
            case _:
                raise NotImplementedError(expr)

    @property
    def operations(self) -> int:
        """Statements other than bitcasts, which cost nothing."""
        return sum(not isinstance(let.value, Bitcast) for let in self.lets)


def _expand(op: str, dtype: DType, fma: bool, constants: dict[int, float] | None = None) -> Code:
    arity = 2 if op in ("pow", "atan2") else 1
    x = [Var(f"x{k}", dtype) for k in range(arity)]
    operands: list[Expr] = [*x]
    for position, number in (constants or {}).items():
        operands[position] = Const(number, dtype)
    counter = itertools.count()
    b = LetBuilder(lambda: f"m{next(counter)}", fma)
    result = expand_expr(b, Unary(op, *operands) if arity == 1 else Binary(op, *operands))
    return Code(tuple(b.lets), result, tuple(x))


def _ulps(got: Array, expected: Array) -> Array:
    """|got - expected| in units of the last place of `got`'s dtype at `expected`.

    `expected` is wider.  Equal infinities, NaN with NaN, and what rounds to the same number
    are 0 apart when exact; NaN against a number is infinite.
    """
    kind = np.finfo(got.dtype)
    wide = np.longdouble if got.dtype == np.float64 else np.float64
    with np.errstate(all="ignore"):
        nearest = expected.astype(got.dtype)
        exponent = np.frexp(np.where(np.isfinite(expected), expected, 1))[1]
        exponent = np.clip(exponent, kind.minexp + 1, kind.maxexp)
        unit = np.ldexp(np.asarray(1, wide), exponent - 1 - kind.nmant)
        distance = np.abs(got.astype(wide) - expected) / unit
    same = (got == nearest) & ~np.isfinite(nearest) | np.isnan(got) & np.isnan(expected)
    overflow = np.isinf(nearest) | np.isinf(got)
    largest = np.asarray(kind.max, got.dtype)
    near_overflow = overflow & (np.abs(expected) >= largest.astype(wide)) & (np.abs(got) == largest)
    distance = np.where(
        same, 0.0, np.where(near_overflow, 1.0, np.where(overflow, np.inf, distance))
    )
    return np.where(np.isnan(distance), np.inf, distance).astype(np.float64)


@pytest.fixture(scope="session")
def expand() -> Callable[..., Code]:
    return _expand


@pytest.fixture(scope="session")
def ulps() -> Callable[[Array, Array], Array]:
    return _ulps
