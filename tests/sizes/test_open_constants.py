"""Constants whose numbers depend on the sizes: masks with moving diagonals, places behind others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from sizes.open_functions import SYMBOLS, Make, check, check_interpreted, function_of

from tensorkiln.compiler.ir.dtypes import F32
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops import shorthand as op
from tensorkiln.compiler.sizes.bound import bound
from tensorkiln.runtime.errors import UnsupportedError


def _read(builder: Builder, *shape: int) -> Value:
    return builder.parameter("x", TensorType(shape, F32))


def causal(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """n queries behind b keys, as booleans, numbers and their opposites."""
    x, _ = _read(builder, n, n + b), _read(builder, b)
    seen = np.tri(n, n + b, b, dtype=np.bool_)
    hidden = np.where(seen, np.float32(0), np.float32(-np.inf))
    chosen = op.select(builder, builder.constant(seen), x, op.full_like(builder, x, -7.0))
    other = op.select(builder, builder.constant(~seen), x, op.full_like(builder, x, 3.0))
    return [chosen, other, op.binary(builder, "add", x, builder.constant(hidden))]


def banded(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Windows of three keys, each query's last one b further than its own place."""
    x, _ = _read(builder, 2, n, n + b), _read(builder, b)
    near = np.tri(n, n + b, b, dtype=np.int32) - np.tri(n, n + b, b - 3, dtype=np.int32)
    whole = np.ascontiguousarray(np.broadcast_to(near.astype(np.float32), (2, n, n + b)))
    return [op.binary(builder, "multiply", x, builder.constant(whole)), builder.constant(near)]


def places(builder: Builder, n: int, b: int) -> Sequence[Value]:
    """Integers that begin at a size, in steps, along dims of several ranks."""
    after = np.arange(b, b + n)
    wide = np.ascontiguousarray(
        np.broadcast_to((n + b - 3 * np.arange(n))[None, :, None], (1, n, 4))
    )
    first = (np.arange(n + b) < b).astype(np.float32)
    return [
        _read(builder, n, b),
        *(builder.constant(a) for a in (after, after.astype(np.int32)[None], wide, first)),
        builder.constant(np.array([n + b, 7, n * b, n + 2 * b - 1], np.int64)),
    ]


CASES: Mapping[str, Make] = {"causal": causal, "banded": banded, "places": places}


@pytest.mark.parametrize("name", CASES)
def test_interpreted(name: str) -> None:
    check_interpreted(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    check(CASES[name])


def test_numbers_without_a_rule_are_refused() -> None:
    def make(builder: Builder, n: int, b: int) -> Sequence[Value]:
        drawn = np.random.default_rng(n).standard_normal((n, b)).astype(np.float32)
        return [op.binary(builder, "add", _read(builder, n, b), builder.constant(drawn))]

    with pytest.raises(UnsupportedError, match=r"constant.*in a way that is not understood"):
        bound(lambda p: function_of(make, p), SYMBOLS, {"n": 9, "b": 5})
