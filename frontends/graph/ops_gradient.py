"""`tf.gradients`: one op whose lowering differentiates the tensor IR built so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.frontends.graph.apply import graph_of
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.kinds import TABLE, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering, variable_of
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.tensor import Tensor


def gradients(
    ys: object, xs: object, grad_ys: object = None, name: str = "gradients",
    colocate_gradients_with_ops: bool = False, gate_gradients: object = False,
    aggregation_method: object = None, stop_gradients: object = None,
) -> list[Tensor | None]:  # fmt: skip
    """The gradient of the sum of `ys` for each of `xs`; None where `ys` do not depend on it.

    `grad_ys` weigh the elements of `ys` (1 unless given); `stop_gradients` are taken as constants.
    """
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
    graph = graph_of([*outputs, *inputs])
    reached = _reached(outputs, stops)
    connected = [x for x in dict.fromkeys(inputs) if _key(x) in reached]
    with graph.as_default(), graph.name_scope(name):
        cotangents = [
            convert_to_tensor(w, base(y), f"grad_ys_{k}")
            for k, (w, y) in enumerate(zip(weights, outputs, strict=True))
            if w is not None
        ]
        if not connected:
            return [None] * len(inputs)
        places = tuple(k for k, w in enumerate(weights) if w is not None)
        attributes = {"ys": len(outputs), "xs": len(connected), "weighted": places}
        operation = graph.create_op(
            TABLE["SymbolicGradient"],
            (*outputs, *connected, *cotangents, *sorted(stops, key=lambda t: t.name)),
            attributes,
        )
    found = dict(zip(connected, operation.outputs, strict=True))
    return [found.get(x) for x in inputs]


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _key(tensor: Tensor) -> Tensor | Operation:
    """What identifies a tensor's value: a variable's tensors all stand for the variable."""
    return variable_of(tensor) or tensor


def _reached(outputs: Sequence[Tensor], stops: Collection[Tensor]) -> set[Tensor | Operation]:
    """All that a gradient of the outputs flows to."""
    found: set[Tensor | Operation] = set()
    waiting = [tensor for tensor in outputs if base(tensor).is_floating]
    while waiting:
        tensor = waiting.pop()
        if _key(tensor) in found:
            continue
        found.add(_key(tensor))
        if tensor in stops or not tensor.op.kind.differentiable:
            continue
        waiting += [t for t in tensor.op.inputs if base(t).is_floating]
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
    found = differentiate(builder, outputs, inputs, cotangents)
    return [
        shorthand.zeros_like(builder, x) if g is None else lowering.identity(g)
        for x, g in zip(inputs, found, strict=True)
    ]


register(OpKind("SymbolicGradient", "inputs:any*", _infer, _lower))
