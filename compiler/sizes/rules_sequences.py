"""Open sizes through recurrent nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorkiln.compiler.ops.recurrent_parts import parts_of
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import is_open
from tensorkiln.compiler.sizes.rules_elements import turned_around
from tensorkiln.compiler.sizes.samples import Sampled, same_start


def _recurrence(bounder: Bounder, sampled: Sampled, operands: Sequence[Open]) -> Sequence[Open]:
    op = sampled.op
    inputs = operands[: op.integer("inputs")]
    states = parts_of(op).states
    batch = next((x.dims[1] for x in inputs if is_open(x.dims[1])), None)
    for x in inputs:
        if any(map(is_open, x.dims[2:])):
            raise sampled.unsupported("the number of its units is open")
    _check_regions(sampled)
    # Running forward, no step that is in use comes after one that is not; rows do not meet.
    backward = op.flag("reverse") and any(is_open(x.dims[0]) for x in inputs)
    attributes = dict(op.attributes)
    given = list(operands)
    if backward:
        attributes["reverse"] = False
        given[: len(inputs)] = [turned_around(bounder, sampled, x, (0,)) for x in inputs]
    made = bounder.builder.op("recurrence", [x.value for x in given], attributes, op.regions)
    found = [
        Open(v, (sampled.dim(0, k), batch or sampled.dim(1, k), sampled.dim(2, k)))
        for k, v in enumerate(made[: len(states)])
    ]
    return [turned_around(bounder, sampled, x, (0,)) for x in found] if backward else found


def _check_regions(sampled: Sampled) -> None:
    """The cells must be alike at all points, their constants included."""
    for region, *others in zip(*(op.regions for op in sampled.ops), strict=True):
        for ops in zip(region.ops, *(other.ops for other in others), strict=False):
            alike = len({op.name for op in ops}) == 1
            if alike and ops[0].name == "constant":
                first = ops[0].array("value")
                alike = all(same_start(op.array("value"), first) for op in ops)
            if not alike:
                raise sampled.unsupported("its cell depends on the sizes")
        if len({len(other.ops) for other in (region, *others)}) > 1:
            raise sampled.unsupported("its cell depends on the sizes")


SEQUENCE_RULES: Mapping[str, Rule] = {"recurrence": _recurrence}
