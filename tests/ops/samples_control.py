"""Samples of while and case: counted, data-dependent, nested, empty and swapped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ops.samples import Numbers, Sample, draw, type_of

from tensorkiln.compiler.ir.dtypes import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I32,
    I64,
    U8,
    DType,
    dtype_of,
)
from tensorkiln.compiler.ir.function import Array, Value
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand import compare, convert, full_like, reduce_sum, scalar
from tensorkiln.compiler.ops.shorthand_control import Make, region, while_loop

Values = Sequence[Value]


def _loop(
    label: str, arrays: Sequence[Array], cond: Make, body: Make, expected: object, **more: object
) -> Sample:
    types = [type_of(a) for a in arrays]
    builder = Builder(REGISTRY)
    regions = (region(builder, "cond", types, cond), region(builder, "body", types, body))
    bound = more.pop("bound", 6)
    more.setdefault("differentiate", _differentiable(arrays))
    return Sample(
        "while", tuple(arrays), expected, {"bound": bound}, regions, label, **more,
    )  # type: ignore[arg-type]  # fmt: skip


def _differentiable(arrays: Sequence[Array]) -> tuple[int, ...] | None:
    """Regions keep their types, so only f64 samples are differentiated (in f64)."""
    floats = [dtype_of(a.dtype) for a in arrays if dtype_of(a.dtype).is_float]
    return None if all(dtype == F64 for dtype in floats) else ()


def _less(limit: int) -> Make:
    return lambda b, v: [compare(b, "LT", v[0], scalar(b, limit, v[0].dtype))]


def _plus_one(b: Builder, counter: Value) -> Value:
    return b.one("add", (counter, scalar(b, 1, counter.dtype)))


def _powers(b: Builder, v: Values) -> Values:
    return [_plus_one(b, v[0]), b.one("multiply", (v[1], v[2])), v[2]]


def _swap(b: Builder, v: Values) -> Values:
    return [_plus_one(b, v[0]), v[2], v[1]]


def _halving(b: Builder, v: Values) -> Values:
    return [b.one("multiply", (v[0], full_like(b, v[0], 0.5)))]


def _large(b: Builder, v: Values) -> Values:
    return [compare(b, "GT", reduce_sum(b, v[0]), scalar(b, 1.0, v[0].dtype))]


def _halve_expected(x: Numbers) -> Numbers:
    while x.sum() > 1:
        x = x / 2
    return x


def _nested(b: Builder, v: Values) -> Values:
    def more(b: Builder, inner: Values) -> Value:
        return compare(b, "LT", inner[0], inner[2])

    def add(b: Builder, inner: Values) -> Values:
        step = convert(b, inner[0], inner[1].dtype)
        total = b.one(
            "add", (inner[1], b.one("broadcast_in_dim", (step,), shape=(3,), dimensions=()))
        )
        return [_plus_one(b, inner[0]), total, inner[2]]

    _, total, _ = while_loop(b, more, add, [scalar(b, 0, I32), v[1], v[0]])
    return [_plus_one(b, v[0]), total]


def _at(number: int) -> Array:
    return np.array(number, np.int32)


def _times(n: int) -> object:
    return lambda i, x, w: (np.array(max(i, n)), x * w ** max(0, n - int(i)), w)


def _cases(index: int, dtype: DType = F32) -> Sample:
    x, y = draw((3, 5), dtype, seed=1), draw((3, 5), dtype, seed=2)
    types = [type_of(x), type_of(y)]
    builder = Builder(REGISTRY)
    makes: list[Make] = [
        lambda b, v: [b.one("add", v), v[0]],
        lambda b, v: [b.one("multiply", v), v[1]],
        lambda b, v: [b.one("tanh", (v[0],)), b.one("negate", (v[0],))],
    ]
    regions = tuple(region(builder, f"b{k}", types, make) for k, make in enumerate(makes))
    found = [
        lambda i, x, y: (x + y, x), lambda i, x, y: (x * y, y), lambda i, x, y: (np.tanh(x), -x),
    ]  # fmt: skip
    chosen = found[index if 0 <= index < 3 else 2]
    return Sample(
        "case", (_at(index), x, y), chosen, {}, regions, f"of_{index}",
        differentiate=_differentiable((x, y)),
    )  # fmt: skip


SAMPLES: tuple[Sample, ...] = (
    *(
        _loop(f"powers_{n}", [_at(0), draw((4,), dtype), draw((4,), dtype, 0.5, 1.5)], _less(n),
              _powers, _times(n), slack=8)
        for dtype in (F32, F64, F16, BF16) for n in (0, 1, 5)
    ),
    *(
        _loop("swap", [_at(0), draw((2, 3), dtype, 0, 9, 1), draw((2, 3), dtype, 0, 9, 2)],
              _less(3), _swap, lambda i, x, y: (np.array(3), y, x), exact=True)
        for dtype in (F32, I8, U8, I32, I64, BOOL)
    ),
    _loop("halving", [draw((7,), F32, 1, 3)], _large, _halving, _halve_expected),
    _loop("empty", [_at(0), draw((0, 2), F32), draw((0, 2), F32)], _less(2), _powers,
          lambda i, x, w: (np.array(2), x, w)),
    _loop("nested", [_at(0), draw((3,), F32)], _less(5), _nested,
          lambda i, x: (np.array(5), x + 10)),
    _loop("nested", [_at(0), draw((3,), F64)], _less(5), _nested,
          lambda i, x: (np.array(5), x + 10)),
    _loop("halving", [draw((7,), F64, 1, 3)], _large, _halving, _halve_expected),
    *map(_cases, (-1, 0, 1, 2, 3)),
    *(_cases(index, F64) for index in (0, 1, 2)),
)  # fmt: skip
