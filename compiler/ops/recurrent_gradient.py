"""The gradient of a recurrence: a recurrence that runs against the time of the first.

Its states are cotangents.  For each phase of the forward step, the last one first, it has a phase
without a product that takes the cell back (cotangents of inputs, products and states from those
of the states the phase made), and a phase whose product with the turned weight takes the
products' cotangents to the states they came from.  What the cells read again are the histories of
the states, and the products, which one large matrix product makes for all steps.  Gradients of weights are
one matrix product over all steps too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tensorkiln.compiler.ir.dims import Dim
from tensorkiln.compiler.ir.function import Function, Op, Value
from tensorkiln.compiler.ops import shorthand
from tensorkiln.compiler.ops.builder import Builder
from tensorkiln.compiler.ops.record import Cotangents, Differentiate
from tensorkiln.compiler.ops.recurrent_parts import (
    Cell,
    Parts,
    Phase,
    Seen,
    parts_of,
    recurrence,
)  # fmt: skip


def recurrence_gradient(
    builder: Builder,
    op: Op,
    cotangents: Cotangents,
    wanted: Sequence[bool],
    differentiate: Differentiate,
) -> Cotangents:
    """See the module's docstring."""
    return _Gradient(builder, op, cotangents, differentiate).run()


@dataclass
class _Back:
    """A cell taken back: a function, and which of its results are whose cotangents.

    The function takes what the cell takes and then the cotangents of the states it made.  Each
    of the tables maps a number (of a gate, state or parameter) to a position in the results.
    """

    function: Function
    products: list[int] = field(default_factory=list)
    states: dict[int, int] = field(default_factory=dict)
    inputs: dict[int, int] = field(default_factory=dict)
    parameters: dict[int, int] = field(default_factory=dict)


@dataclass
class _Plan:
    """The states of the recurrence to be: which cotangent each of them is.

    `made[phase]` lists the slots that a phase makes, in order, as (what, number).
    """

    made: list[list[tuple[str, int]]] = field(default_factory=list)

    def slots(self, what: str, number: int, before: int | None = None) -> list[int]:
        """The slots of a cotangent, those of phases before `before` only."""
        found, slot = [], 0
        for phase, names in enumerate(self.made):
            for name in names:
                if name == (what, number) and (before is None or phase < before):
                    found.append(slot)
                slot += 1
        return found

    def current(self, number: int, phase: int) -> int | None:
        """The slot that holds the cotangent of state `number` when `phase` runs."""
        slots = self.slots("state", number, phase) or self.slots("state", number)
        return slots[-1] if slots else None


class _Gradient:
    def __init__(
        self, builder: Builder, op: Op, cotangents: Cotangents, differentiate: Differentiate
    ) -> None:
        self.builder, self.op, self.cotangents = builder, op, cotangents
        self.differentiate = differentiate
        self.parts: Parts[Value] = parts_of(op)
        self.reverse = op.flag("reverse")
        self.steps: Dim = op.operands[0].type.shape[0]
        self.backs = [self._back(phase) for phase in range(len(op.regions))]
        self.plan = _Plan()

    def run(self) -> Cotangents:
        builder, parts, op = self.builder, self.parts, self.op
        inputs: list[Value] = list(parts.inputs)
        inputs += [self._product(p) for p in range(len(op.regions)) if parts.weights[p] is not None]
        inputs += [self._gate(self._aligned(h, made=False)) for h in op.results]
        inputs += [self._gate(self._aligned(h, made=True)) for h in op.results]
        known = [g for g in self.cotangents if g is not None]
        inputs += [self._gate(self._aligned(g, made=True)) for g in known]
        phases = self._phases()
        zero = shorthand.zeros_like(builder, parts.states[0])
        count = sum(map(len, self.plan.made))
        states = [zero] * count
        self.histories = recurrence(
            builder, inputs, phases, states, parts.parameters, not self.reverse
        )
        found = [self._input(n) for n in range(len(parts.inputs))]
        found += [self._weight(p) for p, w in enumerate(parts.weights) if w is not None]
        found += [self._state(n) for n in range(len(parts.states))]
        found += [self._parameter(n) for n in range(len(parts.parameters))]
        return found

    # Cells

    def _back(self, phase: int) -> _Back:
        """The cell of `phase` and its gradient, as one function."""
        region, parts = self.op.regions[phase], self.parts
        inner = Builder(self.builder.registry, f"{region.name}_back")
        taken = [inner.parameter(v.name, v.type) for v in region.parameters]
        cotangents = [inner.parameter(f"g{k}", v.type) for k, v in enumerate(region.results)]
        results = inner.inline(region, taken)
        found = self.differentiate(inner, results, taken, cotangents)
        gates, products = parts.input_gates, parts.product_gates(phase)
        kept: list[Value] = []

        def keep(value: Value) -> int:
            if value not in kept:
                kept.append(value)
            return kept.index(value)

        back = _Back(region)
        for value in found[gates : gates + products]:
            # Products take consecutive slots, each its own.
            kept.append(shorthand.zeros_like(inner, taken[0]) if value is None else value)
            back.products.append(len(kept) - 1)
        first_state = gates + products
        first_parameter = first_state + len(parts.states)
        for table, start, stop in (
            (back.inputs, 0, gates),
            (back.states, first_state, first_parameter),
            (back.parameters, first_parameter, len(taken)),
        ):
            for number, value in enumerate(found[start:stop]):
                if value is not None:
                    table[number] = keep(value)
        back.function = inner.finish(kept)
        return back

    def _phases(self) -> list[Phase]:
        phases: list[Phase] = []
        order = list(reversed(range(len(self.op.regions))))
        for phase in order:
            self._plan_cell(phase, first=phase == order[0])
            weight = self.parts.weights[phase]
            if weight is not None:
                count = weight.type.shape[0]
                assert isinstance(count, int)
                source = self.parts.sources[phase]
                self.plan.made.append([("state", source + k) for k in range(count)])
        number = 0
        for phase in order:
            made = len(self.plan.made[number])
            phases.append(Phase(self._cell(phase, number), made))
            number += 1
            weight = self.parts.weights[phase]
            if weight is not None:
                turned = shorthand.transpose(self.builder, weight, (2, 3, 0, 1))
                slot = sum(map(len, self.plan.made[: number - 1]))
                made = len(self.plan.made[number])
                phases.append(Phase(self._add_product(phase, number), made, slot, turned))
                number += 1
        return phases

    def _plan_cell(self, phase: int, first: bool) -> None:
        back, parts = self.backs[phase], self.parts
        done = parts.first_update(phase)
        own = range(done, done + parts.updates[phase])
        names = [("product", phase * _MANY + g) for g in range(len(back.products))]
        for number in range(len(parts.states)):
            given = first and self.cotangents[number] is not None
            if number in back.states or number in own or given:
                names.append(("state", number))
        for what, table in (("input", back.inputs), ("parameter", back.parameters)):
            # What is a product's cotangent too is not kept twice.
            names += [(what, n) for n, position in table.items() if position not in back.products]
        self.plan.made.append(names)

    def _cell(self, phase: int, number: int) -> Cell:
        """The cell that takes the cell of the forward phase back."""
        back, parts = self.backs[phase], self.parts
        done = parts.first_update(phase)
        own = range(done, done + parts.updates[phase])

        def cell(inner: Builder, seen: Seen) -> list[Value]:
            forward = self._forward(seen, phase)
            totals = {n: self._total(inner, seen, n, number) for n in range(len(parts.states))}
            zero = shorthand.zeros_like(inner, seen.states[0])
            given = [totals[n] or zero for n in own]
            found = inner.inline(back.function, [*forward, *given])
            made: list[Value] = []
            for what, n in self.plan.made[number]:
                if what == "product":
                    made.append(found[back.products[n % _MANY]])
                elif what == "state":
                    before = None if n in own else totals[n]
                    position = back.states.get(n)
                    made.append(
                        _sum(inner, before, None if position is None else found[position]) or zero
                    )
                else:
                    table = back.inputs if what == "input" else back.parameters
                    made.append(found[table[n]])
            return made

        return cell

    def _total(self, inner: Builder, seen: Seen, state: int, number: int) -> Value | None:
        """The cotangent of a state when phase `number` runs, in the first phase with its own."""
        slot = self.plan.current(state, number)
        total = None if slot is None else seen.states[slot]
        if number == 0 and self.cotangents[state] is not None:
            known = sum(g is not None for g in self.cotangents[:state])
            count = sum(g is not None for g in self.cotangents)
            gate = seen.inputs[len(seen.inputs) - count + known][0]
            total = _sum(inner, total, gate)
        return total

    def _forward(self, seen: Seen, phase: int) -> list[Value]:
        """What the forward cell saw at this step."""
        parts = self.parts
        gates = [v for x in seen.inputs[: len(parts.inputs)] for v in x]
        products = sum(w is not None for w in parts.weights)
        start = len(parts.inputs)
        own = sum(w is not None for w in parts.weights[:phase])
        product = list(seen.inputs[start + own]) if parts.weights[phase] is not None else []
        before = seen.inputs[start + products :]
        after = before[len(parts.states) :]
        done = parts.first_update(phase)
        states = [(after if n < done else before)[n][0] for n in range(len(parts.states))]
        return [*gates, *product, *states, *seen.parameters]

    def _add_product(self, phase: int, number: int) -> Cell:
        """The cell that adds what a product's cotangents give to those of its sources."""
        source = self.parts.sources[phase]

        def cell(inner: Builder, seen: Seen) -> list[Value]:
            return [
                _sum(inner, self._total_after(seen, source + k, number), product) or product
                for k, product in enumerate(seen.product)
            ]

        return cell

    def _total_after(self, seen: Seen, state: int, number: int) -> Value | None:
        slot = self.plan.current(state, number)
        return None if slot is None else seen.states[slot]

    # Histories

    def _aligned(self, history: Value, made: bool, reverse: bool | None = None) -> Value:
        """For each step what it made, or what was before it: [T, B, H]."""
        backwards = self.reverse if reverse is None else reverse
        start = int(made != backwards)
        shape = history.type.shape
        if start:
            return shorthand.slice_axis(self.builder, history, 0, 1, shape[0])
        return shorthand.slice_axis(self.builder, history, 0, 0, self.steps)

    def _gate(self, x: Value) -> Value:
        return shorthand.expand_dims(self.builder, x, (2,))

    def _sources(self, phase: int) -> list[Value]:
        weight, source = self.parts.weights[phase], self.parts.sources[phase]
        assert weight is not None
        count = weight.type.shape[0]
        assert isinstance(count, int)
        done = self.parts.first_update(phase)
        return [
            self._aligned(self.op.results[n], made=n < done) for n in range(source, source + count)
        ]

    def _product(self, phase: int) -> Value:
        """The products of a phase at all steps: [T, B, G, H]."""
        weight = self.parts.weights[phase]
        assert weight is not None
        stacked = shorthand.stack(self.builder, self._sources(phase), 2)
        return shorthand.dot_general(self.builder, stacked, weight, (), (), (2, 3), (0, 1))

    # Cotangents of the operands

    def _made(self, slot: int) -> Value:
        """What the steps made of a slot: [T, B, H]."""
        return self._aligned(self.histories[slot], made=True, reverse=not self.reverse)

    def _found(self, what: str, number: int) -> Value | None:
        """The sum over phases of the cotangents of an input's gate or a parameter."""
        total: Value | None = None
        for slot in self.plan.slots(what, number):
            total = _sum(self.builder, total, self._made(slot))
        for phase, back in enumerate(self.backs):
            position = (back.inputs if what == "input" else back.parameters).get(number)
            if position in back.products:
                gate = phase * _MANY + back.products.index(position)
                (slot,) = self.plan.slots("product", gate)
                total = _sum(self.builder, total, self._made(slot))
        return total

    def _input(self, n: int) -> Value | None:
        x = self.parts.inputs[n]
        first = sum(self.parts.gates[:n])
        found = [self._found("input", first + g) for g in range(self.parts.gates[n])]
        known = next((v for v in found if v is not None), None)
        if known is None:
            return None
        whole = [shorthand.zeros_like(self.builder, known) if v is None else v for v in found]
        stacked = shorthand.stack(self.builder, whole, 2)
        if x.type.shape[3] == stacked.type.shape[3]:
            return stacked
        return shorthand.reduce_sum(self.builder, stacked, (3,), keep_dims=True)

    def _weight(self, phase: int) -> Value:
        gates = range(len(self.backs[phase].products))
        slots = [self.plan.slots("product", phase * _MANY + g)[0] for g in gates]
        found = shorthand.stack(self.builder, [self._made(s) for s in slots], 2)
        sources = shorthand.stack(self.builder, self._sources(phase), 2)
        return shorthand.dot_general(self.builder, sources, found, (), (), (0, 1), (0, 1))

    def _state(self, n: int) -> Value | None:
        """What the last step back left, and the cotangent of the initial value itself."""
        slots = self.plan.slots("state", n)
        total = self._end(self.histories[slots[-1]]) if slots else None
        own = self.cotangents[n]
        return total if own is None else _sum(self.builder, total, self._end(own))

    def _end(self, history: Value) -> Value:
        """Where a history has the state before the first step of the forward recurrence."""
        last = history.type.shape[0]
        if self.reverse:
            assert isinstance(self.steps, int)
            end = shorthand.slice_axis(self.builder, history, 0, self.steps, last)
        else:
            end = shorthand.slice_axis(self.builder, history, 0, 0, 1)
        return shorthand.squeeze(self.builder, end, (0,))

    def _parameter(self, n: int) -> Value | None:
        found = self._found("parameter", n)
        return None if found is None else shorthand.reduce_sum(self.builder, found, (0,))


_MANY = 1 << 16  # more than the gates of any product


def _sum(builder: Builder, a: Value | None, b: Value | None) -> Value | None:
    if a is None or b is None:
        return b if a is None else a
    return builder.one("add", (a, b))
