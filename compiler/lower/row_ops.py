"""Tells which fusions compute rows: row r of each result from row r of operands, for every r.

Such a fusion does the same whichever rows lie at r = 0, 1, 2, ..., so that it works on a batch of
sequences whose rows lie one behind the other as on one in which each begins at a place of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tensorkiln.compiler.ir.function import Op, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.ops.dot import sides
from tensorkiln.compiler.ops.record import Element

PRODUCTS = ("dot_general", "integer_dot")


@dataclass(frozen=True, slots=True)
class _Rows:
    """How a value depends on rows.

    `axis` is the dim that counts them; None for what is the same whatever the rows are.  Along the
    `uniform` dims all places hold the same.
    """

    axis: int | None = None
    uniform: frozenset[int] = frozenset()


class _NoRowsError(Exception):
    """A result depends on several rows, or on where they lie."""


_Rule = Callable[[Op, Sequence[_Rows]], _Rows]


def computes_rows(op: Op, rows: Collection[Value]) -> bool:
    """True if dim 0 of all results of the fusion counts the rows that dim 0 of `rows` counts.

    `rows` are those of its operands that consist of such rows.
    """
    (region,) = op.regions
    known: dict[Value, _Rows] = {
        p: _Rows(0 if v in rows else None)
        for p, v in zip(region.parameters, op.operands, strict=True)
    }
    try:
        for each in region.ops:
            found = _of_op(each, [known[v] for v in each.operands])
            known.update((value, found) for value in each.results)
    except _NoRowsError:
        return False
    return all(known[v].axis == 0 for v in region.results)


def _of_op(op: Op, operands: Sequence[_Rows]) -> _Rows:
    rule = _RULES.get(op.name)
    if rule is not None:
        return rule(op, operands)
    if all(x.axis is None for x in operands):
        return _Rows()
    raise _NoRowsError


def _elementwise(op: Op, operands: Sequence[_Rows]) -> _Rows:
    rank = op.results[0].type.rank
    pairs = zip(op.operands, operands, strict=True)
    return _joined([x for v, x in pairs if v.type.rank == rank and rank])


def _joined(operands: Sequence[_Rows]) -> _Rows:
    """What combines elements at one place."""
    axes = {x.axis for x in operands if x.axis is not None}
    if len(axes) > 1:
        raise _NoRowsError
    axis = next(iter(axes), None)
    if axis is not None and any(x.axis is None and axis not in x.uniform for x in operands):
        raise _NoRowsError
    own = [x.uniform for x in operands]
    return _Rows(axis, frozenset.intersection(*own) if own else frozenset())


def _broadcast(op: Op, operands: Sequence[_Rows]) -> _Rows:
    (x,) = operands
    dims = op.ints("dimensions")
    spread = {to for k, to in enumerate(dims) if k in x.uniform or op.operands[0].shape[k] == 1}
    uniform = frozenset(k for k in range(op.result.type.rank) if k not in dims or k in spread)
    return _Rows(None if x.axis is None else dims[x.axis], uniform)


def _iota(op: Op, operands: Sequence[_Rows]) -> _Rows:
    del operands
    return _Rows(None, frozenset(range(op.result.type.rank)) - {op.integer("dimension")})


def _reshape(op: Op, operands: Sequence[_Rows]) -> _Rows:
    (x,) = operands
    same = op.operands[0].shape[:1] == op.result.shape[:1] != ()
    if x.axis is not None and not (x.axis == 0 and same):
        raise _NoRowsError
    return _Rows(x.axis, x.uniform & {0} if same else frozenset())


def _transpose(op: Op, operands: Sequence[_Rows]) -> _Rows:
    (x,) = operands
    to = {source: k for k, source in enumerate(op.ints("permutation"))}
    return _Rows(None if x.axis is None else to[x.axis], frozenset(to[k] for k in x.uniform))


def _reduce(op: Op, operands: Sequence[_Rows]) -> _Rows:
    (x,) = operands
    kept = [k for k in range(op.operands[0].type.rank) if k not in op.ints("dimensions")]
    if x.axis is not None and x.axis not in kept:
        raise _NoRowsError
    uniform = frozenset(n for n, k in enumerate(kept) if k in x.uniform)
    return _Rows(None if x.axis is None else kept.index(x.axis), uniform)


def _slice(op: Op, operands: Sequence[_Rows]) -> _Rows:
    (x,) = operands
    if x.axis is not None and op.result.shape[x.axis] != op.operands[0].shape[x.axis]:
        raise _NoRowsError
    return x


def _concatenate(op: Op, operands: Sequence[_Rows]) -> _Rows:
    along = op.integer("dimension")
    found = _joined([replace(x, uniform=x.uniform - {along}) for x in operands])
    if found.axis == along:
        raise _NoRowsError
    return found


def _dot(op: Op, operands: Sequence[_Rows]) -> _Rows:
    """Rows of one operand with all of the other one, which is the same for all of them."""
    if operands[0].axis is None and operands[1].axis is None:
        return _Rows()
    left, _ = sides(op.attributes, (op.operands[0].type.rank, op.operands[1].type.rank))
    if operands[1].axis is None and operands[0].axis in left.free:
        return _Rows(len(left.batch) + left.free.index(operands[0].axis))
    raise _NoRowsError


_ELSEWHERE = (
    "pad", "gather", "dynamic_slice", "dynamic_update_slice", "bitcast_convert", "reverse",
)  # fmt: skip

_RULES: Mapping[str, _Rule] = {
    **{
        record.name: _elementwise
        for record in REGISTRY
        if isinstance(record.lowering, Element) and record.name not in _ELSEWHERE
    },
    "broadcast_in_dim": _broadcast,
    "iota": _iota,
    "reshape": _reshape,
    "transpose": _transpose,
    "reduce": _reduce,
    "slice": _slice,
    "concatenate": _concatenate,
    **dict.fromkeys(PRODUCTS, _dot),
}
