"""recurrence: a recurrent net over a whole sequence, its products with the state included.

At each step t, phase p = 0, 1, ... does two things for every unit j of every row b of the batch:

    product[b, g, j] = sum over l, k of state[source_p + l][b, k] * weight_p[l, k, g, j]
    new states = cell_p(inputs at t, product, states, parameters)        elementwise, its region

A phase whose source is -1 has no product.  Phase p makes the next `updates[p]` states; it sees states
of earlier phases as this step made them and all others as the step before left them.  So an LSTM
is one phase whose product has four gates, and a GRU that resets before the product is two.

Operands: `inputs` tensors [T, B, G, H] (or [T, B, G, 1], the same for all units), a weight
[L, H, G, H] for each phase with a product, then the states' initial values [B, H], then parameters
[B, H].  A region's parameters are all [B, H]: each gate of each input, each gate of the product,
each state, each parameter.  Results: for each state its history [T + 1, B, H], which is the initial value
followed by what the steps made, or, if `reverse` is set and time runs backwards, that after
step t at t and the initial value last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tensorkiln.compiler.ir.dims import Dim, add_dims
from tensorkiln.compiler.ir.dtypes import F32, F64
from tensorkiln.compiler.ir.function import Array, Attributes, Function, Op
from tensorkiln.compiler.ir.types import TensorType
from tensorkiln.compiler.ops.checks import ints, require
from tensorkiln.compiler.ops.record import (
    ByRegions,
    Cost,
    GradientByRegions,
    OpRecord,
    RegionRule,
    Run,
    Structural,
    Types,
    bytes_moved,
)
from tensorkiln.compiler.ops.recurrent_gradient import recurrence_gradient
from tensorkiln.compiler.ops.recurrent_parts import Parts, parts_of, split


def _types(
    types: Types, attributes: Attributes, regions: Sequence[Function]
) -> tuple[TensorType, ...]:
    """C1: there is a region and a source for each entry of `updates`.  C2: there are inputs and
    states.  C3: all operands have one dtype, f32 or f64.  C4: inputs are [T, B, G, H or 1].  C5: states
    and parameters are [B, H].  C6: a weight is [L, H, G, H] and its L sources exist.  C7: a region
    takes and gives values of the states' type, as many as there are."""
    sources, updates = ints(attributes, "sources"), ints(attributes, "updates")
    count = len(updates)
    require(
        len(regions) == count and len(sources) == count,
        f"C1: {len(regions)} regions, {len(sources)} sources and {count} updates",
    )
    parts = split(types, attributes)
    require(
        parts is not None and bool(parts.inputs) and bool(parts.states),
        f"C2: {len(types)} operands are not {attributes['inputs']} inputs, a weight a product "
        f"and {sum(updates)} states",
    )
    assert parts is not None
    state = parts.states[0]
    one = all(t.dtype == state.dtype for t in types) and state.dtype in (F32, F64)
    require(one, "C3: operands must all be f32 or all f64")
    steps = _check_inputs(parts.inputs, state)
    for kind in (*parts.states, *parts.parameters):
        require(
            kind == state and kind.rank == 2, f"C5: a state or parameter is {kind}, not {state}"
        )
    _check_weights(parts, sources, state)
    for phase, (region, made) in enumerate(zip(regions, updates, strict=True)):
        expected = parts.region_parameters(phase)
        taken = [v.type for v in region.parameters]
        fits = taken == [state] * expected and [v.type for v in region.results] == [state] * made
        require(fits, f"C7: region {phase} must take {expected} and give {made} of {state}")
    history = state.with_shape((add_dims(steps, 1), *state.shape))
    return (history,) * len(parts.states)


def _check_inputs(inputs: Types, state: TensorType) -> Dim:
    steps = inputs[0].shape[0] if inputs[0].rank else 0
    for kind in inputs:
        fits = kind.rank == 4 and (kind.shape[0], kind.shape[1]) == (steps, state.shape[0])
        require(fits and kind.shape[3] in (1, state.shape[-1]), f"C4: an input is {kind}")
    return steps


def _check_weights(parts: Parts[TensorType], sources: Sequence[int], state: TensorType) -> None:
    for source, weight in zip(sources, parts.weights, strict=True):
        if weight is None:
            continue
        size = state.shape[-1]
        fits = weight.rank == 4 and weight.shape[1] == size and weight.shape[3] == size
        count = weight.shape[0] if weight.rank else 0
        within = isinstance(count, int) and source + count <= len(parts.states)
        require(fits and within, f"C6: a weight is {weight} for states of {state}")


@dataclass(frozen=True)
class Step:
    """One step: which input it reads, where histories keep what was before and what it made."""

    time: int
    before: int
    after: int


def steps_of(count: int, reverse: bool) -> Iterator[Step]:
    """The steps of a sequence of `count` in the order in which they run."""
    for k in range(count):
        yield Step(count - 1 - k, count - k, count - 1 - k) if reverse else Step(k, k, k + 1)


def _evaluate(op: Op, arrays: Sequence[Array], run: Run) -> Sequence[Array]:
    parts, values = parts_of(op), split(arrays, op.attributes)
    assert values is not None
    count, reverse = op.operands[0].shape[0], op.flag("reverse")
    histories = [np.zeros(v.shape, v.dtype.numpy) for v in op.results]
    for history, initial in zip(histories, values.states, strict=True):
        history[count if reverse else 0] = initial
    shape = op.results[0].shape[1:]
    for step in steps_of(count, reverse):
        gates = [
            np.broadcast_to(x[step.time, :, g], shape)
            for x in values.inputs
            for g in range(x.shape[2])
        ]
        for phase, (source, weight) in enumerate(zip(parts.sources, values.weights, strict=True)):
            done = parts.first_update(phase)
            seen = [h[step.after if i < done else step.before] for i, h in enumerate(histories)]
            product: list[Array] = []
            if weight is not None:
                product = _product(seen[source : source + weight.shape[0]], weight)
            made = run(op.regions[phase], [*gates, *product, *seen, *values.parameters])
            for i, array in enumerate(made, done):
                histories[i][step.after] = array
    return histories


def _product(states: Sequence[Array], weight: Array) -> list[Array]:
    """The product of states [B, K] with a weight [L, K, G, H], a [B, H] for each gate."""
    count, inner, gates, units = weight.shape
    left = np.concatenate(states, axis=1)
    total = left @ weight.reshape(count * inner, gates * units)  # type: ignore[operator]
    return [total[:, g * units : (g + 1) * units] for g in range(gates)]


def _cost(op: Op) -> Cost:
    """Two operations a member of a product, and the regions' own count, at every step."""
    steps, batch = op.operands[0].shape[:2]
    parts = parts_of(op)
    products = sum(2 * batch * w.type.elements for w in parts.weights if w is not None)
    cells = sum(v.type.elements for r in op.regions for o in r.ops for v in o.results)
    return Cost(steps * (products + cells), bytes_moved(op))


RECORDS = (
    OpRecord(
        "recurrence",
        {"inputs": "int", "sources": "ints", "updates": "ints", "reverse": "bool"},
        RegionRule(_types),
        ByRegions(_evaluate),
        GradientByRegions(recurrence_gradient),
        Structural("recurrence"),
        _cost,
    ),
)
