"""Rules for open sizes applied op by op to the functions of all points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tensorkiln.compiler.ir.function import Attribute, Function, Op
from tensorkiln.compiler.sizes.bounder import Bounder, Open
from tensorkiln.compiler.sizes.factors import Dims, actual, closed_dims
from tensorkiln.compiler.sizes.relaying import ready
from tensorkiln.compiler.sizes.samples import Sampled, Space, equal_arrays


def apply_ops(
    bounder: Bounder, functions: Sequence[Function], space: Space, parameters: Sequence[Open]
) -> list[Open]:
    """The functions, which are alike op by op, as one at capacity; the results."""
    first = functions[0]
    values = dict(zip(first.parameters, parameters, strict=True))
    for ops in zip(*(f.ops for f in functions), strict=True):
        sampled = Sampled(ops, space)
        operands = [values[v] for v in ops[0].operands]
        with bounder.builder.at(ops[0].location):
            results = _apply(bounder, sampled, operands)
        _check(sampled, results)
        values.update(zip(ops[0].results, results, strict=True))
    return [values[v] for v in first.results]


def _apply(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    op = sampled.op
    if not any(x.is_open for x in operands) and not any(
        _differs(other, op) for other in sampled.ops[1:]
    ):
        made = bounder.builder.append(op, [x.value for x in operands])
        return [Open(value, closed_dims(value.shape)) for value in made]
    ranks = {tuple(v.type.rank for v in other.results) for other in sampled.ops}
    if len(ranks) > 1:
        raise sampled.unsupported("the number of dims of its result depends on them")
    rule = bounder.rules.get(op.name)
    if rule is None:
        raise sampled.unsupported("this op has no rule for open sizes")
    return rule(bounder, sampled, ready(bounder, sampled, operands))


def _differs(a: Op, b: Op) -> bool:
    """True if two ops of one name differ in the shapes they make, in attributes or in regions."""
    if [v.type for v in a.results] != [v.type for v in b.results]:
        return True
    if not _same_attributes(a.attributes, b.attributes):
        return True
    return any(_differ(x, y) for x, y in zip(a.regions, b.regions, strict=True))


def same_regions(ops: Sequence[Op]) -> bool:
    """True if the regions of these ops are alike."""
    first, *others = ops
    return not any(
        _differ(x, y) for op in others for x, y in zip(first.regions, op.regions, strict=True)
    )


def _differ(a: Function, b: Function) -> bool:
    if len(a.ops) != len(b.ops):
        return True
    return any(x.name != y.name or _differs(x, y) for x, y in zip(a.ops, b.ops, strict=True))


def _same_attributes(a: Mapping[str, Attribute], b: Mapping[str, Attribute]) -> bool:
    return all(_equal(value, b.get(key)) for key, value in a.items())


def _equal(a: Attribute, b: Attribute | None) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return equal_arrays([a, b])
    return type(a) is type(b) and a == b


def _check(sampled: Sampled, results: Sequence[Open]) -> None:
    """What a rule says of sizes must be what they are at every point."""
    for index, result in enumerate(results):
        if result.value.shape != sampled.op.results[index].shape:
            raise AssertionError(f"{sampled.op.name}: {result.value} at capacity")
        for op, point in zip(sampled.ops, sampled.space.points, strict=True):
            sizes = sizes_at(result.dims, point)
            if sizes != op.results[index].shape:
                raise sampled.unsupported(f"its result is {op.results[index].type} at {point}")


def sizes_at(dims: Dims, point: Mapping[str, int]) -> tuple[int, ...]:
    """The shape that is in use where symbols have the sizes of a point."""
    return tuple(actual(dim, point) for dim in dims)
