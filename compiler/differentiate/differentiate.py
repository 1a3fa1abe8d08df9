"""Reverse mode: one walk back over the ops, appending each op's gradient to the same builder."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import REGISTRY, Builder
from tensorkiln.compiler.ops.activity import active_values
from tensorkiln.compiler.ops.complex_rules import expand_complex, has_complex_body
from tensorkiln.compiler.ops.record import Body, FromBody, GradientByRegions, NoGradient
from tensorkiln.compiler.ops.shorthand import ones_like, zeros_like
from tensorkiln.runtime.errors import TypeRuleError


def differentiate(
    builder: Builder,
    outputs: Sequence[Value],
    inputs: Sequence[Value],
    cotangents: Sequence[Value | None] | None = None,
    stops: Collection[Value] = (),
) -> list[Value | None]:
    """The gradient of `sum(outputs * cotangents)` for each input; None where there is no path.

    Appends to `builder`, over whose ops it walks back, so it can be applied to its own result.
    `cotangents` have the outputs' types (not given: ones; None: zeros).  Only float values have
    gradients; `stops` are taken as constants, and none goes through an op whose record says
    NoGradient.  A loop on the way gives place to one of the same results that also saves what
    going back through it needs.
    """
    ops = tuple(builder.ops)
    active = active_values(REGISTRY, ops, inputs)
    if cotangents is None:
        cotangents = [ones_like(builder, v) if v in active else None for v in outputs]
    found: dict[Value, Value] = {}

    def accumulate(value: Value, cotangent: Value | None) -> None:
        if cotangent is None or value not in active:
            return
        if cotangent.type != value.type:
            raise TypeRuleError(f"the cotangent of {value!r} is {cotangent.type}")
        before = found.get(value)
        found[value] = cotangent if before is None else builder.one("add", (before, cotangent))

    for output, cotangent in zip(outputs, cotangents, strict=True):
        accumulate(output, cotangent)
    for op in reversed(ops):
        given = [None if v in stops else found.get(v) for v in op.results]
        if any(g is not None for g in given) and any(v in active for v in op.operands):
            with builder.at(op.location):
                back = _back(builder, op, given, active)
                for operand, cotangent in zip(op.operands, back, strict=True):
                    accumulate(operand, cotangent)
    return [found.get(v) for v in inputs]


def _back(
    builder: Builder, op: Op, cotangents: Sequence[Value | None], active: Collection[Value]
) -> Sequence[Value | None]:
    how = REGISTRY[op.name].gradient
    if has_complex_body(op):
        how = FromBody(expand_complex)
    if isinstance(how, FromBody):
        return _through_body(builder, op, how.body, cotangents)
    if isinstance(how, NoGradient):
        return [None] * len(op.operands)
    if isinstance(how, GradientByRegions):
        wanted = [v in active for v in op.operands]
        return how.run(builder, op, cotangents, wanted, differentiate)
    return how(builder, op, cotangents)


def _through_body(
    builder: Builder, op: Op, body: Body, cotangents: Sequence[Value | None]
) -> Sequence[Value | None]:
    """The cotangents of the operands by way of what the op's body does with them.

    The body gets a value of its own for each operand: one that is given twice, or that another
    operand was made from, gets its share for each use and no more.
    """
    inputs = tuple(builder.one("identity", (v,)) for v in op.operands)
    like = Op(op.name, inputs, op.results, op.attributes, op.regions, op.location)
    return differentiate(builder, body(builder, like), inputs, cotangents)


def gradient(function: Function, wrt: Sequence[int] | None = None) -> Function:
    """The function of the same parameters that returns the gradient of the sum of the results.

    One result for each parameter whose index is in `wrt` (None: every float parameter), zeros
    where the results do not depend on it.
    """
    builder = Builder(REGISTRY, f"{function.name}_gradient")
    parameters = [builder.parameter(v.name, v.type) for v in function.parameters]
    outputs = builder.inline(function, parameters)
    if wrt is None:
        inputs = [v for v in parameters if v.dtype.is_inexact]
    else:
        inputs = [parameters[k] for k in wrt]
    found = differentiate(builder, outputs, inputs)
    results = [
        zeros_like(builder, v) if g is None else g for v, g in zip(inputs, found, strict=True)
    ]
    return builder.finish(results)
