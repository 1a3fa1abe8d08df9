"""attention: softmax(scale * q k^T + mask) v, for many heads at once (Vaswani et al., 2017).

q is [B, Tq, H, D], k [B, Tk, K, D], v [B, Tk, K, E] and the result [B, Tq, H, E]; head h of q reads
head h * K // H of k and v (grouped heads: Ainslie et al., GQA, 2023).  A further operand of their
dtype, the mask, is added to the scores; it is [B or 1, H or 1, Tq or 1, Tk or 1].  An operand i32[]
behind these is the number of keys in use: what lies behind them does not count, be it NaN.  If
`causal` is set, query i sees only the keys up to i + `offset`; one more operand i32[] is added to
`offset` then.  A query that sees no key gives NaN, as a softmax of minus infinities does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.dims import Dim
from tensorkiln.compiler.ir.dtypes import F32, F64, I32
from tensorkiln.compiler.ir.function import Attributes, Op, Value
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import require
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.compiler.ops.record import (
    Composite,
    Cost,
    FromBody,
    OpRecord,
    Types,
    bytes_moved,
)


def _types(given: Types, attributes: Attributes) -> tuple[TensorType, ...]:
    """C1: there are 3 or 4 operands, and perhaps one i32[] behind them.  C2: all others have one
    dtype, f32 or f64, and rank 4.  C3: q, k and v agree in B, k and v in Tk and K, q and k in D.
    C4: K divides H.  C5: the mask's dims are those of the scores or 1.  C6: a second operand i32[]
    goes with `causal`."""
    types = given
    for _ in range(2):
        if types and types[-1] == TensorType((), I32):
            types = types[:-1]
    require(
        attributes["causal"] is True or len(given) - len(types) < 2,
        "C6: without causal there is no second operand i32[]",
    )
    require(len(types) in (3, 4), f"C1: takes 3 or 4 operands, not {len(types)}")
    texts = ", ".join(map(str, types))
    one = all(t.dtype == types[0].dtype and t.rank == 4 for t in types)
    require(one and types[0].dtype in (F32, F64), f"C2: operands are {texts}")
    (batch, queries, heads, depth), k, v = (t.shape for t in types[:3])
    fits = k[0] == v[0] == batch and k[1:3] == v[1:3] and k[3] == depth
    require(fits, f"C3: q, k and v are {texts}")
    groups = k[2]
    divides = isinstance(heads, int) and isinstance(groups, int) and groups and not heads % groups
    require(bool(divides), f"C4: {groups} heads of k do not divide {heads} of q")
    if len(types) == 4:
        scores = (batch, heads, queries, k[1])
        within = all(a in (1, b) for a, b in zip(types[3].shape, scores, strict=True))
        require(within, f"C5: the mask is {types[3]} for scores of {scores}")
    return (types[0].with_shape((batch, queries, heads, v[3])),)


@dataclass(frozen=True, slots=True)
class AttentionOperands:
    """The operands of an attention by name."""

    q: Value
    k: Value
    v: Value
    mask: Value | None
    used: Value | None  # how many keys count
    diagonal: Value | None  # how much further than `offset` each query sees


def attention_operands(op: Op) -> AttentionOperands:
    """What is what of the operands of an attention."""
    q, k, v, *more = op.operands
    numbers = [value for value in more if value.type.rank == 0]
    used, diagonal, *_ = *numbers, None, None
    return AttentionOperands(q, k, v, more[0] if len(more) > len(numbers) else None, used, diagonal)


def _body(builder: Builder, op: Op) -> Sequence[Value]:
    given = attention_operands(op)
    q, k, v = given.q, given.k, given.v
    batch, queries, heads, _ = q.type.shape
    keys, groups = k.type.shape[1:3]
    assert isinstance(heads, int)
    assert isinstance(groups, int)
    share = heads // groups
    split = shorthand.reshape(builder, q, (*q.type.shape[:2], groups, share, q.type.shape[3]))
    # [B, K, Tq, H/K, Tk], then the scores' own order
    scores = shorthand.dot_general(builder, split, k, (0, 2), (0, 2), (4,), (3,))
    scores = shorthand.transpose(builder, scores, (0, 1, 3, 2, 4))
    scores = shorthand.reshape(builder, scores, (batch, heads, queries, keys))
    x = Formula(builder, scores) * op.number("scale")
    if op.flag("causal"):
        x = _seen(builder, (queries, keys), op.integer("offset"), given.diagonal).select(
            x, -math.inf
        )
    if given.mask is not None:
        x = x + Formula(builder, given.mask)
    if given.used is not None:
        x = _used(builder, x.value.type.shape, 3, given.used).select(x, -math.inf)
        there = _used(builder, v.type.shape, 1, given.used)
        v = there.select(Formula(builder, v), 0.0).value
    weights = builder.one("softmax", (x.value,), axis=3)
    weights = shorthand.reshape(builder, weights, (batch, groups, share, queries, keys))
    # [B, K, H/K, Tq, E]
    mixed = shorthand.dot_general(builder, weights, v, (0, 1), (0, 2), (4,), (1,))
    turned = shorthand.transpose(builder, mixed, (0, 3, 1, 2, 4))
    return [shorthand.reshape(builder, turned, op.result.type.shape)]


def _seen(builder: Builder, shape: tuple[Dim, Dim], offset: int, diagonal: Value | None) -> Formula:
    """True where a query [Tq] sees a key [Tk]."""
    query = Formula(builder, shorthand.iota(builder, shape, 0, I32))
    key = Formula(builder, shorthand.iota(builder, shape, 1, I32))
    if diagonal is not None:
        query = query + Formula(builder, diagonal)
    return key.compare("LE", query + offset)


def _used(builder: Builder, shape: tuple[Dim, ...], axis: int, number: Value) -> Formula:
    """True at the first `number` places along `axis`."""
    place = Formula(builder, shorthand.iota(builder, shape, axis, I32))
    return place.compare("LT", Formula(builder, number))


def _cost(op: Op) -> Cost:
    """Two operations a member of either product, and a softmax of the scores."""
    batch, queries, heads, depth = op.operands[0].shape
    keys, width = op.operands[1].shape[1], op.operands[2].shape[3]
    scores = batch * heads * queries * keys
    return Cost(scores * (2 * depth + 2 * width + 27), bytes_moved(op))


RECORDS = (
    OpRecord(
        "attention",
        {"scale": "float", "causal": "bool", "offset": "int"},
        _types,
        FromBody(_body),
        FromBody(_body),
        Composite(_body),
        _cost,
    ),
)
