"""Samples of recurrences: cells with and without products, in one phase and in two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ops.samples import Numbers, Sample, draw, type_of

from tensorkiln.compiler.ir.dtypes import F32, F64, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.shorthand_control import Make, region

Sizes = tuple[int, int, int]


def _sample(
    label: str, arrays: Sequence[Numbers], cells: Sequence[tuple[int, Make]], expected: Any,
    inputs: int, sources: Sequence[int], updates: Sequence[int], reverse: bool = False,
) -> Sample:  # fmt: skip
    """`cells` are how many values a cell takes, and what it makes of them."""
    state = next(a for a in arrays if a.ndim == 2)
    builder = Builder(REGISTRY)
    regions = tuple(
        region(builder, f"cell{n}", [type_of(state)] * count, make)
        for n, (count, make) in enumerate(cells)
    )
    attributes = {
        "inputs": inputs, "sources": tuple(sources), "updates": tuple(updates), "reverse": reverse
    }  # fmt: skip
    small = state.dtype == np.float64 and state.size < 20
    return Sample(
        "recurrence", tuple(arrays), expected, attributes, regions, label, slack=8,
        differentiate=None if small else (),
    )  # fmt: skip


def _sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))


def _add(b: Builder, x: Value, y: Value) -> Value:
    return b.one("add", (x, y))


def _mul(b: Builder, x: Value, y: Value) -> Value:
    return b.one("multiply", (x, y))


def _simple(b: Builder, v: Sequence[Value]) -> list[Value]:
    """x, product, h: tanh(x + product)."""
    return [b.one("tanh", (_add(b, v[0], v[1]),))]


def _simple_expected(reverse: bool) -> Any:
    def expected(x: Numbers, w: Numbers, h: Numbers) -> Numbers:
        made = [h]
        for step in x[::-1] if reverse else x:
            made.append(np.tanh(step[:, 0] + made[-1] @ w[0, :, 0]))
        return np.stack(made[::-1] if reverse else made)

    return expected


def _rnn(sizes: Sizes, dtype: DType, reverse: bool) -> Sample:
    steps, batch, units = sizes
    arrays = (
        draw((steps, batch, 1, units), dtype, -1, 1),
        draw((1, units, 1, units), dtype, -0.5, 0.5, 1),
        draw((batch, units), dtype, -1, 1, 2),
    )
    label = "back" if reverse else "simple"
    return _sample(label, arrays, [(3, _simple)], _simple_expected(reverse), 1, (0,), (1,), reverse)


def _lstm(b: Builder, v: Sequence[Value]) -> list[Value]:
    """Gates i, o, f, c of input and product; states h and c; a peephole to o."""
    i, o, f, g = (_add(b, v[k], v[4 + k]) for k in range(4))
    h_before, c_before, peephole = v[8:]
    del h_before
    i, f = b.one("logistic", (i,)), b.one("logistic", (f,))
    c = _add(b, _mul(b, f, c_before), _mul(b, i, b.one("tanh", (g,))))
    o = b.one("logistic", (_add(b, o, _mul(b, peephole, c)),))
    return [_mul(b, o, b.one("tanh", (c,))), c]


def _lstm_expected(
    x: Numbers, w: Numbers, h: Numbers, c: Numbers, peephole: Numbers
) -> tuple[Numbers, Numbers]:
    hs, cs = [h], [c]
    for step in x:
        i, o, f, g = (step[:, k] + hs[-1] @ w[0, :, k] for k in range(4))
        cs.append(_sigmoid(f) * cs[-1] + _sigmoid(i) * np.tanh(g))
        hs.append(_sigmoid(o + peephole * cs[-1]) * np.tanh(cs[-1]))
    return np.stack(hs), np.stack(cs)


def _lstms(sizes: Sizes, dtype: DType) -> Sample:
    steps, batch, units = sizes
    arrays = (
        draw((steps, batch, 4, units), dtype, -1, 1),
        draw((1, units, 4, units), dtype, -0.5, 0.5, 1),
        draw((batch, units), dtype, -1, 1, 2),
        draw((batch, units), dtype, -1, 1, 3),
        draw((batch, units), dtype, -1, 1, 4),
    )
    return _sample("lstm", arrays, [(11, _lstm)], _lstm_expected, 1, (0,), (2,))


def _update_and_reset(b: Builder, v: Sequence[Value]) -> list[Value]:
    """Inputs z, r, n; products z, r; states z, r * h, h: the new z and r * h."""
    z, r = (b.one("logistic", (_add(b, v[k], v[3 + k]),)) for k in range(2))
    return [z, _mul(b, r, v[7])]


def _candidate(b: Builder, v: Sequence[Value]) -> list[Value]:
    """Inputs z, r, n; product n; states z, r * h, h: the new h = n + z * (h - n)."""
    n = b.one("tanh", (_add(b, v[2], v[3]),))
    return [_add(b, n, _mul(b, v[4], b.one("subtract", (v[6], n))))]


def _gru_expected(
    x: Numbers, w: Numbers, u: Numbers, z: Numbers, rh: Numbers, h: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    zs, rhs, hs = [z], [rh], [h]
    for step in x:
        zs.append(_sigmoid(step[:, 0] + hs[-1] @ w[0, :, 0]))
        rhs.append(_sigmoid(step[:, 1] + hs[-1] @ w[0, :, 1]) * hs[-1])
        n = np.tanh(step[:, 2] + rhs[-1] @ u[0, :, 0])
        hs.append(n + zs[-1] * (hs[-1] - n))
    return np.stack(zs), np.stack(rhs), np.stack(hs)


def _grus(sizes: Sizes, dtype: DType) -> Sample:
    steps, batch, units = sizes
    arrays = (
        draw((steps, batch, 3, units), dtype, -1, 1),
        draw((1, units, 2, units), dtype, -0.5, 0.5, 1),
        draw((1, units, 1, units), dtype, -0.5, 0.5, 2),
        *(draw((batch, units), dtype, -1, 1, 3 + k) for k in range(3)),
    )
    cells = [(8, _update_and_reset), (7, _candidate)]
    return _sample("gru", arrays, cells, _gru_expected, 1, (2, 1), (2, 1))


def _two_sources(b: Builder, v: Sequence[Value]) -> list[Value]:
    """A flag for all units, a product of two states, and no use of the state itself."""
    return [_mul(b, v[0], v[1]), _add(b, v[1], v[3])]


def _two_sources_expected(
    x: Numbers, w: Numbers, s: Numbers, t: Numbers
) -> tuple[Numbers, Numbers]:
    first, second = [s], [t]
    for step in x:
        product = first[-1] @ w[0, :, 0] + second[-1] @ w[1, :, 0]
        first.append(step[:, 0] * product)
        second.append(product + second[-1])
    return np.stack(first), np.stack(second)


def _summed(dtype: DType) -> Sample:
    arrays = (
        draw((3, 2, 1, 1), dtype, -1, 1),
        draw((2, 3, 1, 3), dtype, -0.5, 0.5, 1),
        draw((2, 3), dtype, -1, 1, 2),
        draw((2, 3), dtype, -1, 1, 3),
    )
    return _sample("two", arrays, [(4, _two_sources)], _two_sources_expected, 1, (0,), (2,))


def _without_product(dtype: DType) -> Sample:
    arrays = (draw((4, 3, 1, 5), dtype, -1, 1), draw((3, 5), dtype, -1, 1, 2))

    def expected(x: Numbers, h: Numbers) -> Numbers:
        return np.concatenate([h[None], h + np.cumsum(x[:, :, 0], axis=0)])

    cell = (2, lambda b, v: [_add(b, v[0], v[1])])
    return _sample("sum", arrays, [cell], expected, 1, (-1,), (1,))


SAMPLES = tuple(
    sample
    for dtype in (F64, F32)  # cells keep their dtype: those in f64 are differentiated
    for sample in (
        *(_rnn(sizes, dtype, back) for sizes in ((3, 2, 3), (1, 1, 1)) for back in (False, True)),
        _rnn((0, 2, 3), dtype, False),
        _rnn((2, 13, 37), dtype, False),
        _rnn((2, 0, 3), dtype, False),
        _rnn((2, 2, 0), dtype, True),
        _rnn((2, 1, 64), dtype, True),
        _lstms((3, 2, 3), dtype),
        _lstms((2, 1, 33), dtype),
        _lstms((2, 16, 16), dtype),
        _grus((3, 1, 2), dtype),
        _grus((2, 7, 19), dtype),
        _summed(dtype),
        _without_product(dtype),
    )
)
