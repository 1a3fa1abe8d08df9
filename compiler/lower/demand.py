"""Which part of each value a call needs, where sizes are open.

A fused function at capacity (compiler/sizes) computes every place of its arrays; a call asks for
the first ones of its results only.  Going backward, each op tells what of its operands the part
that is needed of its result needs, as factors of each dim (demand_rules.py).  Saying all is always
right, so ops without a rule say that.

Of what a loop carries, one trip may need what the trip before made: what is asked of its results
grows until its body asks for no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tensorkiln.compiler.ir.dims import Affine, Dim, add_dims, least_dim, scale_dim
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.lower.demand_known import Known, carried
from tensorkiln.compiler.lower.demand_rules import RULES, Need, elementwise, whole
from tensorkiln.compiler.ops.composite_attention import attention_operands
from tensorkiln.compiler.sizes.factors import Dims, Factor, Factors, closed, normal

_ROUNDS = 32  # of a loop's body, after which all of what it carries is needed


@dataclass(frozen=True, slots=True)
class Asked:
    """What is needed of a function's results, None where nothing, and known of its parameters."""

    results: tuple[Need | None, ...]
    known: Known


def asked_of(function: Function, results: Sequence[Dims], sizes: Mapping[Value, Dim]) -> Asked:
    """What callers ask of a function whose results they use as `results` say.

    `sizes` are the parameters that tell the sizes of a call.
    """
    asked: list[Need | None] = [tuple(map(normal, dims)) for dims in results]
    for position in function.aliases:  # state is kept whole
        asked[position] = whole(function.results[position])
    return Asked(tuple(asked), Known.of(sizes))


def needs(function: Function, asked: Asked) -> dict[Value, Need]:
    """What is needed of the values of a fused function; nothing of one that is missing."""
    known = asked.known.after(function.ops)
    return _backward(function, asked.results, known)


def inside(function: Function, asked: Asked) -> dict[Op, tuple[Asked, ...]]:
    """What is asked of the regions of a fused function's loops and branches."""
    known = asked.known.after(function.ops)
    found = _backward(function, asked.results, known)
    ways = {"while": _of_loop, "case": _of_branch}
    return {op: ways[op.name](op, found, known)[1] for op in function.ops if op.name in ways}


def add_needs(into: dict[Value, Need], more: Mapping[Value, Need]) -> None:
    """Adds `more` that is needed of values."""
    for value, need in more.items():
        _ask(into, value, need)


def _backward(
    function: Function, results: Sequence[Need | None], known: Known
) -> dict[Value, Need]:
    found: dict[Value, Need] = {}
    _ask_all(found, function.results, results)
    for op in reversed(function.ops):
        _ask_all(found, op.operands, _of_op(op, found, known))
    return found


def _ask_all(
    found: dict[Value, Need], values: Iterable[Value], wanted: Iterable[Need | None]
) -> None:
    for value, need in zip(values, wanted, strict=True):
        if need is not None:
            _ask(found, value, need)


def _ask(found: dict[Value, Need], value: Value, need: Need) -> None:
    before = found.get(value)
    if before is not None:
        pairs = zip(before, need, value.shape, strict=True)
        need = tuple(_either(a, b, size) for a, b, size in pairs)
    found[value] = need


def _either(a: Factors, b: Factors, size: int) -> Factors:
    """What holds both parts of a dim."""
    if a == b:
        return a
    if len(a) == len(b) == 1:
        for more, less in ((a, b), (b, a)):
            rest = add_dims(more[0].extent, scale_dim(less[0].extent, -1))
            if least_dim(rest) >= 0:
                return more
    return closed(size)


def _of_op(op: Op, found: Mapping[Value, Need], known: Known) -> Sequence[Need | None]:
    match op.name:
        case "while":
            return _of_loop(op, found, known)[0]
        case "case":
            return _of_branch(op, found, known)[0]
        case "fusion":
            return _of_fusion(op, found, known)
    asked = [found[v] for v in op.results if v in found]
    if not asked:
        return [None] * len(op.operands)
    every = [whole(v) for v in op.operands]
    if len(op.results) > 1:
        return every
    if op.name == "select":
        return _select(op, asked[0], known)
    if op.name == "attention":
        return _attention(op, asked[0], known)
    rule = RULES.get(op.name)
    return rule(op, asked[0]) if rule is not None else every


def _of_fusion(op: Op, found: Mapping[Value, Need], known: Known) -> list[Need | None]:
    (region,) = op.regions
    inner = _backward(region, [found.get(v) for v in op.results], known)
    return [inner.get(p) for p in region.parameters]


def _of_loop(
    op: Op, found: Mapping[Value, Need], known: Known
) -> tuple[list[Need | None], tuple[Asked, ...]]:
    """What a loop needs of its operands, and what it asks of its condition and body."""
    cond, body = op.regions
    sides = [known.renamed(*carried(op, region.parameters)) for region in (cond, body)]
    test = Asked(tuple(map(whole, cond.results)), sides[0])
    state = {v: found[v] for v in op.results if v in found}
    _ask_all(state, op.results, map(needs(cond, test).get, cond.parameters))
    for _ in range(_ROUNDS):
        before = dict(state)
        trip = Asked(tuple(map(before.get, op.results)), sides[1])
        _ask_all(state, op.results, map(needs(body, trip).get, body.parameters))
        if state == before:
            if len(state) == len(op.results):
                break
            # Nobody needs these: a trip computes them all the same.
            state |= {v: whole(v) for v in op.results if v not in state}
    else:
        state = {v: whole(v) for v in op.results}
    every = tuple(state[v] for v in op.results)
    return list(every), (test, Asked(every, sides[1]))


def _of_branch(
    op: Op, found: Mapping[Value, Need], known: Known
) -> tuple[list[Need | None], tuple[Asked, ...]]:
    """What a choice needs of its operands, and what it asks of its branches."""
    index, *values = op.operands
    results = tuple(map(found.get, op.results))
    asked = tuple(Asked(results, known.renamed(values, r.parameters)) for r in op.regions)
    state = {index: whole(index)}
    for region, own in zip(op.regions, asked, strict=True):
        _ask_all(state, values, map(needs(region, own).get, region.parameters))
    return [state.get(v) for v in op.operands], asked


def _select(op: Op, need: Need, known: Known) -> list[Need]:
    """Behind a mask nothing is needed of what it keeps out."""
    condition, on_true, on_false = elementwise(op, need)
    for axis, dim in known.masks.get(op.operands[0], {}).items():
        if isinstance(dim, Affine):
            inside = (Factor(op.result.shape[axis], dim),)
            on_true = (*on_true[:axis], inside, *on_true[axis + 1 :])
    return [condition, on_true, on_false]


def _attention(op: Op, need: Need, known: Known) -> list[Need]:
    """Batch and heads come first in all operands; rows of queries are those of the result."""
    given = attention_operands(op)
    query, *others = op.operands
    leading = query.type.rank - 2
    found: list[Need] = [(*need[: leading + 1], closed(query.shape[-1]))]
    count = known.counts.get(given.used) if given.used is not None else None
    for value in others:
        same = value.type.rank == query.type.rank
        own = [
            need[k] if same and k < leading and size == query.shape[k] else closed(size)
            for k, size in enumerate(value.shape)
        ]
        if isinstance(count, Affine) and value in (given.k, given.v):
            own[1] = (Factor(value.shape[1], count),)
        found.append(tuple(own))
    return found
