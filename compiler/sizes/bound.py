"""A model for a range of sizes as one function of static shapes.

Every dim that the sizes change gets its largest size, its capacity; the function takes the sizes
of a call as further parameters (i32 scalars named `size.N`).  What lies beyond the sizes of a call
is never looked at by an element that the call asks for: where an op would fold, contract or slide
over it, a mask puts the op's neutral element there.  So the function is an ordinary one to every
pass and kernel, and stays correct whatever they do; what need not be computed is found later
(lower/demand.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tensorkiln.compiler.ir.dims import Symbol
from tensorkiln.compiler.ir.function import Function, Value
from tensorkiln.compiler.ops import REGISTRY
from tensorkiln.compiler.passes.expand_composites import expand_composites
from tensorkiln.compiler.sizes.apply import apply_ops
from tensorkiln.compiler.sizes.bounder import Bounder, Open, Rule
from tensorkiln.compiler.sizes.factors import Dims, normal
from tensorkiln.compiler.sizes.rules_constants import CONSTANT_RULES
from tensorkiln.compiler.sizes.rules_contract import CONTRACT_RULES
from tensorkiln.compiler.sizes.rules_control import CONTROL_RULES
from tensorkiln.compiler.sizes.rules_elements import ELEMENT_RULES
from tensorkiln.compiler.sizes.rules_fold import FOLD_RULES
from tensorkiln.compiler.sizes.rules_matrices import MATRIX_RULES
from tensorkiln.compiler.sizes.rules_places import PLACE_RULES
from tensorkiln.compiler.sizes.rules_random import RANDOM_RULES
from tensorkiln.compiler.sizes.rules_regions import REGION_RULES
from tensorkiln.compiler.sizes.rules_sequences import SEQUENCE_RULES
from tensorkiln.compiler.sizes.rules_slices import SLICE_RULES
from tensorkiln.compiler.sizes.rules_windows import WINDOW_RULES
from tensorkiln.compiler.sizes.samples import Make, Space, sample
from tensorkiln.runtime.errors import UnsupportedError

RULES: Mapping[str, Rule] = {
    **ELEMENT_RULES, **CONSTANT_RULES, **FOLD_RULES, **CONTRACT_RULES, **WINDOW_RULES,
    **SLICE_RULES, **SEQUENCE_RULES, **CONTROL_RULES, **RANDOM_RULES,
    **PLACE_RULES, **REGION_RULES, **MATRIX_RULES,
}  # fmt: skip
# Composites with a rule of their own; the others become primitives first.
KEPT = tuple(r.name for r in REGISTRY if r.name in RULES)


@dataclass(frozen=True, slots=True)
class Bounded:
    """A function at capacity; `inputs` and `outputs` say how much of each array a call uses.

    The last parameters, one a symbol and in their order, are the sizes, which are at least `least`.
    """

    function: Function
    symbols: tuple[Symbol, ...]
    capacities: Mapping[str, int]
    least: Mapping[str, int]
    inputs: tuple[Dims, ...]
    outputs: tuple[Dims, ...]


def bound(make: Make, symbols: Sequence[Symbol], capacities: Mapping[str, int]) -> Bounded:
    """The model that `make` builds for given sizes, at `capacities`, for every size up to them.

    UnsupportedError names the first op of which the dependence on the sizes is not understood.
    """
    space = Space.of(symbols, capacities)
    try:
        found = _in_either_order(make, space)
    except UnsupportedError:
        if not space.quotients:
            raise
    # Rounded sizes have few values: numbers that depend on them are looked at for each of these.
    return _in_either_order(make, space.finer()) if space.quotients else found


def _in_either_order(make: Make, space: Space) -> Bounded:
    functions = sample(lambda point: expand_composites(make(point), keep=KEPT), space)
    try:
        return _bounded(functions, space)
    except UnsupportedError:
        # A new dim of n times m elements does not say which of the two is outermost.
        if len(space.symbols) > 1:
            with suppress(UnsupportedError):
                return _bounded(functions, space.turned())
        raise


def _bounded(functions: Sequence[Function], space: Space) -> Bounded:
    """The function at capacity, from the functions of all points."""
    first = functions[0]
    bounder = Bounder(first.name, RULES)
    values: dict[Value, Open] = {}
    for position, parameter in enumerate(first.parameters):
        shapes = [f.parameters[position].shape for f in functions]
        dims = _parameter_dims(parameter, shapes, space)
        new = bounder.builder.parameter(parameter.name, parameter.type)
        values[parameter] = Open(new, dims)
    inputs = tuple(values[p].dims for p in first.parameters)
    bounder.size_parameters(space.symbols)
    results = apply_ops(bounder, functions, space, list(values.values()))
    function = bounder.builder.finish(
        [r.value for r in results], first.result_names, dict(first.aliases)
    )
    return Bounded(
        function,
        space.symbols,
        dict(space.points[0]),
        {s.name: s.minimum for s in space.symbols},
        inputs,
        tuple(normal_dims(r.dims) for r in results),
    )


def normal_dims(dims: Dims) -> Dims:
    """`normal` for every dim."""
    return tuple(map(normal, dims))


def _parameter_dims(parameter: Value, shapes: Sequence[tuple[int, ...]], space: Space) -> Dims:
    dims = []
    for sizes in zip(*shapes, strict=True):
        dim = space.fit_dim(sizes)
        if dim is None or len(dim) > 1:
            listed = ", ".join(map(str, sizes))
            raise UnsupportedError(f"a dim of input {parameter.name!r} is {listed}: no open size")
        dims.append(dim)
    return tuple(dims)
