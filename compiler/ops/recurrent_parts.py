"""The roles of a recurrence's operands, and a short form that builds one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

from tensorkiln.compiler.ir.function import Attribute, Attributes, Function, Op, Value
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.checks import ints

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts(Generic[T]):
    """Operands (or their types, or arrays) by role; `weights` has None for a phase without one."""

    inputs: tuple[T, ...]
    weights: tuple[T | None, ...]
    states: tuple[T, ...]
    parameters: tuple[T, ...]
    gates: tuple[int, ...]  # of each input, then of each phase's product
    sources: tuple[int, ...]
    updates: tuple[int, ...]

    @property
    def input_gates(self) -> int:
        """Gates of all inputs together."""
        return sum(self.gates[: len(self.inputs)])

    def product_gates(self, phase: int) -> int:
        """Gates of the product of a phase; 0 where it has none."""
        return self.gates[len(self.inputs) + phase]

    def first_update(self, phase: int) -> int:
        """The first state that a phase makes; those before it are made already."""
        return sum(self.updates[:phase])

    def region_parameters(self, phase: int) -> int:
        """How many values the region of a phase takes."""
        others = len(self.states) + len(self.parameters)
        return self.input_gates + self.product_gates(phase) + others


def split(operands: Sequence[T], attributes: Attributes) -> Parts[T] | None:
    """The operands by role; None if there are too few of them or one has no gates dim."""
    sources, updates = ints(attributes, "sources"), ints(attributes, "updates")
    count = attributes["inputs"]
    assert isinstance(count, int)
    products = sum(source >= 0 for source in sources)
    first = count + products
    if min(count, *updates, 0) < 0 or len(operands) < first + sum(updates):
        return None
    given = iter(operands[count:first])
    weights = tuple(next(given) if source >= 0 else None for source in sources)
    gates = tuple(0 if x is None else _gates(x) for x in (*operands[:count], *weights))
    if -1 in gates:
        return None
    states = tuple(operands[first : first + sum(updates)])
    rest = tuple(operands[first + sum(updates) :])
    return Parts(tuple(operands[:count]), weights, states, rest, gates, sources, updates)


def parts_of(op: Op) -> Parts[Value]:
    """The roles of a recurrence's operands."""
    found = split(op.operands, op.attributes)
    assert found is not None
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What a cell sees: [B, H] values, those of inputs by input and gate."""

    inputs: Sequence[Sequence[Value]]
    product: Sequence[Value]
    states: Sequence[Value]
    parameters: Sequence[Value]


Cell: TypeAlias = Callable[[Builder, Seen], Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Phase:
    """The states contracted with `weight` start at `source`; `cell` makes `updates` states."""

    cell: Cell
    updates: int
    source: int = -1
    weight: Value | None = None


def recurrence(
    builder: Builder,
    inputs: Sequence[Value],
    phases: Sequence[Phase],
    states: Sequence[Value],
    parameters: Sequence[Value] = (),
    reverse: bool = False,
) -> tuple[Value, ...]:
    """Appends a recurrence and returns the histories of its states.

    Inputs that no cell reads are left out, but for the first.
    """
    kind = states[0].type
    weights = [phase.weight for phase in phases if phase.weight is not None]
    counts = [_gates(x) for x in inputs]
    total = sum(counts)
    regions: list[Function] = []
    for number, phase in enumerate(phases):
        inner = Builder(builder.registry, f"cell{number}")
        product = 0 if phase.weight is None else _gates(phase.weight)
        sizes = (*counts, product, len(states), len(parameters))
        names = (*(f"x{n}_" for n in range(len(counts))), "p", "s", "r")
        taken = [
            [inner.parameter(f"{name}{k}", kind) for k in range(size)]
            for name, size in zip(names, sizes, strict=True)
        ]
        gates, (own, held, given) = taken[: len(counts)], taken[len(counts) :]
        regions.append(inner.finish(list(phase.cell(inner, Seen(gates, own, held, given)))))
    read = {v for r in regions for v in (*r.results, *(v for op in r.ops for v in op.operands))}
    starts = [sum(counts[:n]) for n in range(len(counts))]
    used = [
        n == 0 or any(v in read for r in regions for v in r.parameters[start : start + counts[n]])
        for n, start in enumerate(starts)
    ]
    kept = [k for n, start in enumerate(starts) if used[n] for k in range(start, start + counts[n])]
    attributes: dict[str, Attribute] = {
        "inputs": sum(used),
        "sources": tuple(phase.source for phase in phases),
        "updates": tuple(phase.updates for phase in phases),
        "reverse": reverse,
    }
    narrowed = tuple(
        replace(r, parameters=(*(r.parameters[k] for k in kept), *r.parameters[total:]))
        for r in regions
    )
    left = [x for x, needed in zip(inputs, used, strict=True) if needed]
    return builder.op("recurrence", (*left, *weights, *states, *parameters), attributes, narrowed)


def _gates(x: object) -> int:
    """The size of dim 2 of a value, type or array; -1 where it has none or an open one."""
    shape = x.type.shape if isinstance(x, Value) else getattr(x, "shape", ())
    gates = shape[2] if len(shape) > 2 else -1
    return gates if isinstance(gates, int) else -1
