"""The gradient of `case`: the case of its branches' gradients."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops.activity import active_values
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.record import Cotangents, Differentiate
from tensorkiln.compiler.ops.shorthand import zeros_like


def case_gradient(
    builder: Builder,
    op: Op,
    cotangents: Cotangents,
    wanted: Sequence[bool],
    differentiate: Differentiate,
) -> Cotangents:
    """A second case, whose branches run forward again and then back.

    case(i, x) {f} {g}   ->   case(i, x, dy) {f; gradient of f} {g; gradient of g}
    """
    index, *values = op.operands
    given = [k for k, g in enumerate(cotangents) if g is not None]
    seeds = [g for g in cotangents if g is not None]
    chosen = [
        k
        for k, (value, wants) in enumerate(zip(values, wanted[1:], strict=True))
        if wants and value.dtype.is_float and _matters(builder, op.regions, k, given)
    ]
    if not chosen:
        return [None] * len(op.operands)
    branches = tuple(
        _branch(builder, region, given, chosen, differentiate) for region in op.regions
    )
    found = builder.op("case", (index, *values, *seeds), {}, branches)
    result: list[Value | None] = [None] * len(op.operands)
    for position, value in zip(chosen, found, strict=True):
        result[position + 1] = value
    return result


def _matters(
    builder: Builder, regions: Sequence[Function], position: int, given: Sequence[int]
) -> bool:
    """True if some branch's results with cotangents depend on the operand."""
    for region in regions:
        reached = active_values(builder.registry, region.ops, [region.parameters[position]])
        if any(region.results[k] in reached for k in given):
            return True
    return False


def _branch(
    builder: Builder,
    region: Function,
    given: Sequence[int],
    chosen: Sequence[int],
    differentiate: Differentiate,
) -> Function:
    inner = Builder(builder.registry, f"{region.name}_gradient")
    values = [inner.parameter(v.name, v.type) for v in region.parameters]
    outputs = inner.inline(region, values)
    seeds = [inner.parameter(f"d{k}", outputs[k].type) for k in given]
    inputs = [values[k] for k in chosen]
    found = differentiate(inner, [outputs[k] for k in given], inputs, seeds)
    return inner.finish(
        [zeros_like(inner, v) if g is None else g for v, g in zip(inputs, found, strict=True)]
    )
