"""RNN, GRU and LSTM layers: the inputs' products for all steps at once, then a recurrence.

Sequences shorter than the longest are masked: past its end a sequence's state stays as it is, and
its output is zero.  Backwards, the state stays at its initial value until the sequence's end is
met, so a sequence is read from its own end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tensorkiln.compiler.ir.dtypes import BOOL, F32, I32, DType
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops import Builder
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.compiler.ops.recurrent_parts import Phase, Seen, recurrence
from tensorkiln.compiler.ops.shorthand import (
    broadcast_in_dim,
    compare,
    concat,
    convert,
    dot_general,
    expand_dims,
    full,
    iota,
    reshape,
    select,
    slice_axis,
    squeeze,
    stack,
    transpose,
    zeros_like,
)
from tensorkiln.frontends.onnx.lowerings.recurrent_activations import Activation, activations
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@dataclass(frozen=True)
class _Kind:
    """A layer: gates of its product, states, default activations, its inputs' positions.

    `phases(layer)` gives the phases; the first `outputs` of `states` are results, h and then c.
    """

    gates: int
    defaults: tuple[str, ...]
    cell_state: bool
    phases: Callable[[_Layer], _Phases]


@dataclass(frozen=True)
class _Phases:
    """The phases with the states in the order in which they are made; `h` and `c` are positions."""

    phases: list[Phase]
    extra: int  # states before h that only a step needs
    parameters: list[Value]


@dataclass(frozen=True)
class _Layer:
    """One direction of a node: what its cells are made of."""

    node: Node
    number: int
    units: int
    batch: int
    dtype: DType
    acts: Sequence[Activation]
    clip: float
    masked: bool

    @property
    def builder(self) -> Builder:
        return self.node.builder

    def operand(self, index: int) -> Value | None:
        """This direction's part of an optional operand."""
        if not self.node.has(index):
            return None
        whole = convert(self.builder, self.node.value(index), self.dtype)
        part = slice_axis(self.builder, whole, 0, self.number, self.number + 1)
        return squeeze(self.builder, part, (0,))

    def weight(self, first: int, count: int) -> Value:
        """The recurrent weights of `count` gates, as a recurrence takes them."""
        whole = self.operand(2)
        assert whole is not None
        h = self.units
        rows = slice_axis(self.builder, whole, 0, first * h, (first + count) * h)
        turned = transpose(self.builder, reshape(self.builder, rows, (count, h, h)), (2, 0, 1))
        return expand_dims(self.builder, turned, (0,))

    def bias(self, first: int, count: int) -> Value | None:
        """The biases of `count` gates from gate `first` of the two halves on, as a vector."""
        whole = self.operand(3)
        if whole is None:
            return None
        return slice_axis(self.builder, whole, 0, first * self.units, (first + count) * self.units)

    def parameter(self, vector: Value) -> Value:
        """A vector over the units, for all rows of the batch."""
        return broadcast_in_dim(self.builder, vector, (self.batch, self.units), (1,))

    def act(self, which: int, x: Formula) -> Formula:
        """Activation number `which` of the clipped x."""
        if self.clip:
            x = x.maximum(-self.clip)
            x = -((-x).maximum(-self.clip))
        return self.acts[which](x)

    def held(self, seen: Seen, builder: Builder, new: Formula, old: Formula) -> Value:
        """`new`, or `old` where the sequence is at its end."""
        if not self.masked:
            return new.value
        (mask,) = formulas(builder, seen.inputs[1][0])
        return mask.compare("GT", 0.0).select(new, old).value


Values: TypeAlias = list[Value]


def _rnn(layer: _Layer) -> _Phases:
    """h = f(x + h R)"""

    def cell(builder: Builder, seen: Seen) -> Values:
        x, p, h = formulas(builder, seen.inputs[0][0], seen.product[0], seen.states[0])
        return [layer.held(seen, builder, layer.act(0, x + p), h)]

    return _Phases([Phase(cell, 1, 0, layer.weight(0, 1))], 0, [])


def _lstm(layer: _Layer) -> _Phases:
    """The gates are i, o, f and c; peepholes are those of i, o and f."""
    peepholes = layer.operand(7)
    parameters: Values = []
    if peepholes is not None:
        h = layer.units
        parts = [slice_axis(layer.builder, peepholes, 0, k * h, (k + 1) * h) for k in range(3)]
        parameters = [layer.parameter(part) for part in parts]
    coupled = bool(layer.node.integer("input_forget", 0))

    def cell(builder: Builder, seen: Seen) -> Values:
        gates = formulas(builder, *seen.inputs[0])
        products = formulas(builder, *seen.product)
        i, o, f, g = (x + p for x, p in zip(gates, products, strict=True))
        h, c = formulas(builder, *seen.states)
        peep = formulas(builder, *seen.parameters)
        i = layer.act(0, i + peep[0] * c if peep else i)
        f = 1.0 - i if coupled else layer.act(0, f + peep[2] * c if peep else f)
        new = f * c + i * layer.act(1, g)
        o = layer.act(0, o + peep[1] * new if peep else o)
        output = o * layer.act(2, new)
        return [layer.held(seen, builder, output, h), layer.held(seen, builder, new, c)]

    return _Phases([Phase(cell, 2, 0, layer.weight(0, 4))], 0, parameters)


def _gru(layer: _Layer) -> _Phases:
    """The gates are z, r and h; the reset comes before or after the product of h."""
    if layer.node.integer("linear_before_reset", 0):
        return _gru_reset_after(layer)

    def gates(builder: Builder, seen: Seen) -> Values:
        x, p = formulas(builder, *seen.inputs[0]), formulas(builder, *seen.product)
        z, r = (layer.act(0, x[k] + p[k]) for k in range(2))
        (h,) = formulas(builder, seen.states[2])
        return [z.value, (r * h).value]

    def output(builder: Builder, seen: Seen) -> Values:
        x, p, z, h = formulas(
            builder, seen.inputs[0][2], seen.product[0], seen.states[0], seen.states[2]
        )
        return [layer.held(seen, builder, _mixed(z, layer.act(1, x + p), h), h)]

    phases = [Phase(gates, 2, 2, layer.weight(0, 2)), Phase(output, 1, 1, layer.weight(2, 1))]
    return _Phases(phases, 2, [])


def _gru_reset_after(layer: _Layer) -> _Phases:
    bias = layer.bias(5, 1)

    def cell(builder: Builder, seen: Seen) -> Values:
        x, p = formulas(builder, *seen.inputs[0]), formulas(builder, *seen.product)
        (h,) = formulas(builder, seen.states[0])
        z, r = (layer.act(0, x[k] + p[k]) for k in range(2))
        inner = p[2]
        for value in seen.parameters:
            inner = inner + Formula(builder, value)
        return [layer.held(seen, builder, _mixed(z, layer.act(1, x[2] + r * inner), h), h)]

    parameters = [] if bias is None else [layer.parameter(bias)]
    return _Phases([Phase(cell, 1, 0, layer.weight(0, 3))], 0, parameters)


def _mixed(z: Formula, new: Formula, old: Formula) -> Formula:
    return (1.0 - z) * new + z * old


_RNN = _Kind(1, ("Tanh",), False, _rnn)
_GRU = _Kind(3, ("Sigmoid", "Tanh"), False, _gru)
_LSTM = _Kind(4, ("Sigmoid", "Tanh", "Tanh"), True, _lstm)


def _lower(kind: _Kind) -> Callable[[Node], list[Value]]:
    return lambda node: _layer(node, kind)


def _layer(node: Node, kind: _Kind) -> list[Value]:
    """Y [T, D, B, H], Y_h and Y_c [D, B, H]; batch first if `layout` is set."""
    builder, direction = node.builder, node.string("direction", "forward")
    if direction not in DIRECTIONS:
        raise node.invalid(f"direction is {direction!r}, not one of {', '.join(DIRECTIONS)}")
    batch_first = bool(node.integer("layout", 0))
    dtype = node.operand(0).dtype
    wide = F32 if dtype.bits < 32 else dtype
    x = convert(builder, node.value(0), wide)
    if x.type.rank != 3 or node.operand(2).type.rank != 3:
        raise node.invalid(f"X is {x.type} and R is {node.operand(2).type}, not of rank 3")
    x = transpose(builder, x, (1, 0, 2)) if batch_first else x
    units = node.operand(2).shape[2]
    reversals = DIRECTIONS[direction]
    _check_shapes(node, kind, len(reversals), units)
    acts = activations(node, kind.defaults, len(reversals))
    mask = _mask(node, x, wide)
    outputs: list[list[Value]] = []
    for number, reverse in enumerate(reversals):
        layer = _Layer(
            node, number, units, x.shape[1], wide, acts[number], node.number("clip", 0.0),
            mask is not None,
        )  # fmt: skip
        outputs.append(_direction(layer, kind, x, mask, reverse, batch_first))
    results = []
    for position, parts in enumerate(zip(*outputs, strict=True)):
        joined = stack(builder, parts, 0 if position else 1)
        if batch_first:
            joined = transpose(builder, joined, (1, 0, 2) if position else (2, 0, 1, 3))
        results.append(convert(builder, joined, dtype))
    return results


def _direction(
    layer: _Layer, kind: _Kind, x: Value, mask: Value | None, reverse: bool, batch_first: bool
) -> list[Value]:
    """Y [T, B, H] of one direction and the last states."""
    builder = layer.builder
    gates = _input_gates(layer, kind, x)
    parts = kind.phases(layer)
    states = [_initial(layer, 5 + k, batch_first) for k in range(1 + kind.cell_state)]
    extra = [zeros_like(builder, states[0])] * parts.extra
    inputs = [gates] if mask is None else [gates, mask]
    histories = recurrence(
        builder, inputs, parts.phases, [*extra, *states], parts.parameters, reverse
    )[parts.extra :]
    steps = x.shape[0]
    start = 0 if reverse else 1
    y = slice_axis(builder, histories[0], 0, start, start + steps)
    if mask is not None:
        flags = compare(builder, "GT", squeeze(builder, mask, (2,)), full(builder, (), 0, y.dtype))
        y = select(builder, flags, y, zeros_like(builder, y))
    end = 0 if reverse else steps
    last = [squeeze(builder, slice_axis(builder, h, 0, end, end + 1), (0,)) for h in histories]
    return [y, *last]


def _input_gates(layer: _Layer, kind: _Kind, x: Value) -> Value:
    """x W^T and the biases that need no state, for all steps: [T, B, gates, H]."""
    builder, count = layer.builder, kind.gates
    weight = layer.operand(1)
    assert weight is not None
    product = dot_general(builder, x, weight, (), (), (2,), (1,))
    ahead, behind = layer.bias(0, count), layer.bias(count, count)
    if ahead is not None and behind is not None:
        if count == 3 and layer.node.integer("linear_before_reset", 0):
            # The bias of the candidate's product is reset with it.
            inner = slice_axis(builder, behind, 0, 0, 2 * layer.units)
            none = full(builder, (layer.units,), 0, layer.dtype)
            behind = concat(builder, [inner, none], 0)
        bias = builder.one("add", (ahead, behind))
        spread = broadcast_in_dim(builder, bias, product.type.shape, (2,))
        product = builder.one("add", (product, spread))
    return reshape(builder, product, (*x.shape[:2], count, layer.units))


def _initial(layer: _Layer, index: int, batch_first: bool) -> Value:
    """The initial value of a state, zero if it is not given."""
    builder, shape = layer.builder, (layer.batch, layer.units)
    if not layer.node.has(index):
        return full(builder, shape, 0, layer.dtype)
    whole = convert(builder, layer.node.value(index), layer.dtype)
    axis = 1 if batch_first else 0
    if whole.type.rank != 3:
        raise layer.node.invalid(f"an initial state is {whole.type}, not of rank 3")
    part = slice_axis(builder, whole, axis, layer.number, layer.number + 1)
    found = squeeze(builder, part, (axis,))
    if found.shape != shape:
        raise layer.node.invalid(f"an initial state is {whole.type} for states of {shape}")
    return found


def _mask(node: Node, x: Value, dtype: DType) -> Value | None:
    """1 where a sequence goes on and 0 past its end: [T, B, 1, 1]; None if all have T steps."""
    if not node.has(4):
        return None
    lengths = node.operand(4)
    steps, batch = x.shape[:2]
    if lengths.shape != (batch,):
        raise node.invalid(f"sequence_lens is {lengths.type} for a batch of {batch}")
    if lengths.known is not None and all(int(n) >= steps for n in np.asarray(lengths.known)):
        return None
    builder = node.builder
    counts = convert(builder, node.value(4), I32)
    times = iota(builder, (steps, batch), 0, I32)
    going = compare(builder, "LT", times, counts)
    assert going.dtype == BOOL
    return expand_dims(builder, convert(builder, going, dtype), (2, 3))


def _check_shapes(node: Node, kind: _Kind, directions: int, units: int) -> None:
    """ModelError if weights, biases or peepholes do not fit `hidden_size` and the gates."""
    given = node.integer("hidden_size", units)
    if given != units:
        raise node.invalid(f"hidden_size is {given}, but R is {node.operand(2).type}")
    inner = node.operand(0).shape[2]
    wanted = {
        1: (directions, kind.gates * units, inner),
        2: (directions, kind.gates * units, units),
        3: (directions, 2 * kind.gates * units),
    }
    if kind.cell_state:
        wanted[7] = (directions, 3 * units)
    for index, shape in wanted.items():
        if index < 3 or node.has(index):
            found = node.operand(index)
            if found.shape != shape:
                raise node.invalid(
                    f"its input {found.name!r} is {found.type}, not of shape {shape}"
                )


LOWERINGS = (
    Lowering("RNN", _lower(_RNN)),
    Lowering("GRU", _lower(_GRU)),
    Lowering("LSTM", _lower(_LSTM)),
)
