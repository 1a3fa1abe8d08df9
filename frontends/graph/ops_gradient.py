"""`tf.gradients`: one op whose lowering differentiates the tensor IR built so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.custom_gradients import by_parts, overriding
from tensorkiln.frontends.graph.indexed_slices import IndexedSlices
from tensorkiln.frontends.graph.kinds import TABLE, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering, is_read, variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import zeros_like
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.singular import check_inverses
from tensorkiln.frontends.graph.statics import static_integer
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.unrolled import with_bounds

Gradient: TypeAlias = "Tensor | IndexedSlices | None"


def gradients(
    ys: object, xs: object, grad_ys: object = None, name: str = "gradients",
    colocate_gradients_with_ops: bool = False, gate_gradients: object = False,
    aggregation_method: object = None, stop_gradients: object = None,
    unconnected_gradients: object = "none",
) -> list[Gradient]:  # fmt: skip
    """The gradient of the sum of `ys` for each of `xs`; None where `ys` do not depend on it.

    `grad_ys` weigh the elements of `ys` (1 unless given); `stop_gradients` are taken as constants.
    """
    unconnected_gradients = getattr(unconnected_gradients, "value", unconnected_gradients)
    if unconnected_gradients not in ("none", "zero"):
        raise ValueError(f"Unknown value for unconnected_gradients: {unconnected_gradients!r}")
    outputs = [convert_to_tensor(y) for y in _list(ys)]
    inputs = [convert_to_tensor(x) for x in _list(xs)]
    stops = (
        {convert_to_tensor(t) for t in _list(stop_gradients)}
        if stop_gradients is not None
        else set()
    )
    weights = _list(grad_ys) if grad_ys is not None else [None] * len(outputs)
    if len(weights) != len(outputs):
        raise ValueError(f"Passed {len(weights)} grad_ys for {len(outputs)} ys")
    own = overriding(outputs, stops)
    if own:
        return by_parts(_plain, own, outputs, inputs, weights, stops, name)
    graph = graph_of([*outputs, *inputs])
    users = _users(outputs, stops)
    connected = [x for x in dict.fromkeys(inputs) if _key(x) in users]
    rows = {x: _lookups(x, users) for x in connected if x not in outputs}
    wanted = [t for x in connected for t in (rows.get(x) or [x])]
    with graph.as_default(), graph.name_scope(name):
        cotangents = [
            convert_to_tensor(w, base(y), f"grad_ys_{k}")
            for k, (w, y) in enumerate(zip(weights, outputs, strict=True))
            if w is not None
        ]
        found: dict[Tensor, Gradient] = {}
        if wanted:
            places = tuple(k for k, w in enumerate(weights) if w is not None)
            attributes = {"ys": len(outputs), "xs": len(wanted), "weighted": places}
            operation = graph.create_op(
                TABLE["SymbolicGradient"],
                (*outputs, *wanted, *cotangents, *sorted(stops, key=lambda t: t.name)),
                attributes,
            )
            dense = dict(zip(wanted, operation.outputs, strict=True))
            for x in connected:
                found[x] = _slices(x, rows[x], dense) if rows.get(x) else dense[x]
        if unconnected_gradients == "zero":
            found |= {x: zeros_like(x) for x in inputs if x not in found}
    return [found.get(x) for x in inputs]


def _plain(
    ys: Sequence[Tensor], xs: Sequence[Tensor], weights: Sequence[object],
    stops: Collection[Tensor], name: str,
) -> list[Gradient]:  # fmt: skip
    """`gradients` between ops that have gradients of their own."""
    return gradients(ys, xs, weights, name, stop_gradients=list(stops))


def _lookups(x: Tensor, users: Mapping[Tensor | Operation, Sequence[Operation]]) -> list[Tensor]:
    """The rows looked up in `x`, if the gradient flows to it through look-ups of rows only."""
    ops = users[_key(x)]
    if (
        x.sizes is None
        or None in x.sizes[1:]
        or not all(_is_lookup(op) and _key(op.inputs[0]) == _key(x) for op in ops)
    ):
        return []
    return list(dict.fromkeys(op.outputs[0] for op in ops))


def _is_lookup(op: Operation) -> bool:
    return (
        op.type == "GatherV2"
        and static_integer(op.inputs[2]) == 0
        and not op.attributes.get("batch_dims", 0)
    )


def _slices(
    x: Tensor, lookups: Sequence[Tensor], gradient: Mapping[Tensor, Tensor]
) -> IndexedSlices:
    """The gradients of the rows that were looked up, one below the other."""
    with name_scope(f"{lookups[0].op.name}_grad"):
        size = (x.sizes or ())[1:]
        shape = make("Shape", (x,), out_type=dtypes.int32)
        rows = [make("Reshape", (gradient[t], (-1, *size))) for t in lookups]
        indices = [make("Reshape", (t.op.inputs[1], [-1])) for t in lookups]
    if len(lookups) == 1:
        return IndexedSlices(rows[0], indices[0], shape)
    return IndexedSlices(
        make("ConcatV2", (rows, 0), "concat"), make("ConcatV2", (indices, 0), "concat"), shape
    )


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _key(tensor: Tensor) -> Tensor | Operation:
    """What identifies a tensor's value: a variable's tensors all stand for the variable."""
    return variable_of(tensor) or tensor


def _users(
    outputs: Sequence[Tensor], stops: Collection[Tensor]
) -> dict[Tensor | Operation, list[Operation]]:
    """All that a gradient of the outputs flows to, and the ops through which it comes."""
    found: dict[Tensor | Operation, list[Operation]] = {}
    done: set[Operation] = set()
    waiting = [tensor for tensor in outputs if base(tensor).is_inexact]
    while waiting:
        tensor = waiting.pop()
        found.setdefault(_key(tensor), [])
        op = tensor.op
        if tensor in stops or op in done or not op.kind.differentiable:
            continue
        done.add(op)
        for part in op.inputs:
            if not base(part).is_inexact:
                continue
            if not is_read(tensor):
                found.setdefault(_key(part), []).append(op)
            waiting.append(part)
    return found


def _infer(op: Operation) -> Sequence[Result]:
    first, count = op.integer("ys"), op.integer("xs")
    return [(base(x), x.sizes) for x in op.inputs[first : first + count]]


def _lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    builder = lowering.builder
    split, end = op.integer("ys"), op.integer("ys") + op.integer("xs")
    outputs, inputs, places = values[:split], values[split:end], op.integers("weighted")
    given = iter(values[end:])
    cotangents = [
        next(given) if k in places else shorthand.ones_like(builder, y)
        for k, y in enumerate(outputs)
    ]
    stops = frozenset(values[end + len(places) :])
    before = len(builder.ops)
    found = with_bounds(
        lowering, op, lambda: differentiate(builder, outputs, inputs, cotangents, stops)
    )
    check_inverses(lowering, op, builder.ops[before:])
    return [
        shorthand.zeros_like(builder, x) if g is None else lowering.identity(g)
        for x, g in zip(inputs, found, strict=True)
    ]


register(OpKind("SymbolicGradient", "inputs:any*", _infer, _lower))
