"""Philox 4x32-10, a counter-based random function: 128 bits for a key of 64 and a counter of 128.

Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011), in numpy and as
kernel expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorkiln.compiler.ir.dtypes import U32, U64
from tensorkiln.compiler.kernel.expr import Binary, Const, Convert, Expr
from tensorkiln.compiler.ops.record import ElementContext

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox(key: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    """u32[..., 4] for a u64 key and the u64[...] halves of the counters."""
    keys = [key & _MASK, key >> _HALF]
    words = [low & _MASK, low >> _HALF, high & _MASK, high >> _HALF]
    for _ in range(_ROUNDS):
        first, second = (np.uint64(m) * w for m, w in zip(_MULTIPLIERS, words[::2], strict=True))
        words = [
            (second >> _HALF) ^ words[1] ^ keys[0],
            second & _MASK,
            (first >> _HALF) ^ words[3] ^ keys[1],
            first & _MASK,
        ]
        keys = [(k + np.uint64(step)) & _MASK for k, step in zip(keys, _KEY_STEPS, strict=True)]
    return np.stack(words, axis=-1).astype(np.uint32)


def halves(wide: Expr) -> tuple[Expr, Expr]:
    """The low and the high 32 bits of a u64."""
    return Convert(wide, U32), Convert(Binary("shr_logical", wide, Const(32, U64)), U32)


def philox_words(
    context: ElementContext, keys: Sequence[Expr], counter: Sequence[Expr]
) -> list[Expr]:
    """The four u32 words for two key words and four counter words, low ones first."""
    words, (k0, k1) = list(counter), keys
    for round_ in range(_ROUNDS):
        low0, high0 = _product(context, _MULTIPLIERS[0], words[0])
        low1, high1 = _product(context, _MULTIPLIERS[1], words[2])
        words = [_xor(context, high1, words[1], k0), low1, _xor(context, high0, words[3], k1), low0]
        if round_ < _ROUNDS - 1:
            k0, k1 = (
                context.let(Binary("add", k, Const(step, U32)))
                for k, step in zip((k0, k1), _KEY_STEPS, strict=True)
            )
    return words


def _product(context: ElementContext, multiplier: int, word: Expr) -> tuple[Expr, Expr]:
    wide = context.let(Binary("mul", Convert(word, U64), Const(multiplier, U64)))
    low, high = halves(wide)
    return context.let(low), context.let(high)


def _xor(context: ElementContext, a: Expr, b: Expr, c: Expr) -> Expr:
    return context.let(Binary("xor", Binary("xor", a, b), c))
