"""Open sizes through loops and branches.

A region captures nothing, so the sizes go in as further operands, which a loop carries unchanged.
What a loop carries keeps its size from trip to trip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ir.function import Function
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.sizes.apply import apply_ops
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Dims, is_open, normal
from tensorkiln.compiler.sizes.samples import Sampled, aligned


def _while(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    sizes = list(bounder.sizes.values())
    regions: list[Function] = []
    for number in range(2):
        region, results = _region(bounder, sampled, number, operands, carries=number == 1)
        regions.append(region)
        if number == 1:
            _check_carried(sampled, operands, results)
    bound = max(op.integer("bound") for op in sampled.ops)
    if any(op.integer("bound") < 0 for op in sampled.ops):
        bound = -1
    made = bounder.builder.op(
        "while", [*(x.value for x in operands), *sizes], {"bound": bound}, tuple(regions)
    )
    return [Open(v, x.dims) for v, x in zip(made, operands, strict=False)]


def _check_carried(sampled: Sampled, before: Sequence[Open], after: Sequence[Dims]) -> None:
    for number, (x, dims) in enumerate(zip(before, after, strict=True)):
        if tuple(map(normal, x.dims)) != tuple(map(normal, dims)):
            raise sampled.unsupported(f"the size of the value it carries at {number} changes")


def _case(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    index, *values = operands
    if index.is_open:
        raise sampled.unsupported("the index of its branch is of open size")
    regions: list[Function] = []
    found: list[Sequence[Dims]] = []
    for number in range(len(sampled.op.regions)):
        region, results = _region(bounder, sampled, number, values, carries=False)
        regions.append(region)
        found.append(results)
    merged = [_merged(sampled, each) for each in zip(*found, strict=True)]
    sizes = list(bounder.sizes.values())
    made = bounder.builder.op(
        "case", [index.value, *(x.value for x in values), *sizes], {}, tuple(regions)
    )
    return [Open(v, dims) for v, dims in zip(made, merged, strict=True)]


def _merged(sampled: Sampled, branches: Sequence[Dims]) -> Dims:
    """The dims of a result, which every branch must say alike where it is open."""
    dims = []
    for each in zip(*branches, strict=True):
        opened = list(dict.fromkeys(normal(d) for d in each if is_open(d)))
        if len(opened) > 1:
            raise sampled.unsupported("its branches give results of unlike open sizes")
        dims.append(opened[0] if opened else each[0])
    return tuple(dims)


def _region(
    bounder: Bounder, sampled: Sampled, number: int, values: Sequence[Open], carries: bool
) -> tuple[Function, list[Dims]]:
    """A region at capacity, and how much of each result is in use; it gives the sizes as well if
    it `carries` them."""
    functions = aligned([op.regions[number] for op in sampled.ops], sampled.space)
    inner = Bounder(functions[0].name, bounder.rules)
    inner.builder.location = bounder.builder.location
    parameters = []
    for parameter, x in zip(functions[0].parameters, values, strict=True):
        kind = TensorType(x.value.shape, parameter.dtype)
        parameters.append(Open(inner.builder.parameter(parameter.name, kind), x.dims))
    inner.size_parameters(tuple(bounder.sizes))
    results = apply_ops(inner, functions, sampled.space, parameters)
    carried = list(inner.sizes.values()) if carries else []
    made = inner.builder.finish([*(r.value for r in results), *carried])
    return made, [r.dims for r in results]


CONTROL_RULES: Mapping[str, Rule] = {"while": _while, "case": _case}
