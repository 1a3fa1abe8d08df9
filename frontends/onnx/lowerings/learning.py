"""Steps of optimizers (domain ai.onnx.preview.training), for any number of tensors at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tensorkiln.compiler.differentiate import differentiate
from tensorkiln.compiler.ir.dtypes import I64
from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.shorthand import (
    binary,
    broadcast_to,
    compare,
    convert,
    reshape,
    scalar,
    select,
)  # fmt: skip
from tensorkiln.frontends.onnx.node import Node
from tensorkiln.frontends.onnx.table import Lowering

DOMAIN = "ai.onnx.preview.training"
Step: TypeAlias = "Callable[[_Update, Sequence[Value]], tuple[Value, ...]]"


class _Update:
    """The scalars of a step, the rate and the number of the step, and arithmetic with them."""

    def __init__(self, node: Node) -> None:
        self.node, self.builder = node, node.builder
        for k in (0, 1):
            if node.operand(k).type.elements != 1:
                raise node.invalid(f"its input {k} has shape {list(node.operand(k).shape)}")

    def rate(self, like: Value) -> Value:
        return convert(self.builder, reshape(self.builder, self.node.value(0), ()), like.dtype)

    def step(self, like: Value) -> Value:
        return convert(self.builder, self._step(), like.dtype)

    def _step(self) -> Value:
        return convert(self.builder, reshape(self.builder, self.node.value(1), ()), I64)

    def is_first(self) -> Value:
        return compare(self.builder, "LE", self._step(), scalar(self.builder, 0, I64))

    def __call__(self, op: str, a: Value, b: Value | float | str) -> Value:
        """`a` with a value, a number, or the attribute of a name."""
        if isinstance(b, str):
            b = self.node.number(b)
        other = b if isinstance(b, Value) else scalar(self.builder, b, a.dtype)
        return binary(self.builder, op, a, other)

    def chosen(self, condition: Value, a: Value, b: Value) -> Value:
        return select(self.builder, broadcast_to(self.builder, condition, a.shape), a, b)

    def root(self, x: Value) -> Value:
        """sqrt(x) + epsilon."""
        return self("add", self.builder.one("sqrt", (x,)), "epsilon")

    def regularized(self, x: Value, gradient: Value) -> Value:
        return self("add", self("multiply", x, "norm_coefficient"), gradient)

    def mixed(self, old: Value, new: Value, share: float) -> Value:
        """share * old + (1 - share) * new."""
        return self("add", self("multiply", old, share), self("multiply", new, 1 - share))


def _adagrad(u: _Update, tensors: Sequence[Value]) -> tuple[Value, ...]:
    """Duchi, Hazan, Singer: Adaptive subgradient methods, 2011."""
    x, gradient, squares = tensors
    slower = u("add", u("multiply", u.step(x), "decay_factor"), 1.0)
    g = u.regularized(x, gradient)
    squares = u("add", squares, u("multiply", g, g))
    moved = u("divide", u("multiply", g, u("divide", u.rate(x), slower)), u.root(squares))
    return u("subtract", x, moved), squares


def _adam(u: _Update, tensors: Sequence[Value]) -> tuple[Value, ...]:
    """Kingma, Ba: Adam, 2015; step 0 is not corrected for its bias."""
    x, gradient, mean, squares = tensors
    alpha, beta = (u.node.number(name) for name in ("alpha", "beta"))
    g = u.regularized(x, gradient)
    mean = u.mixed(mean, g, alpha)
    squares = u.mixed(squares, u("multiply", g, g), beta)
    left = [
        u(
            "subtract",
            scalar(u.builder, 1.0, x.dtype),
            u("power", scalar(u.builder, share, x.dtype), u.step(x)),
        )
        for share in (alpha, beta)
    ]
    corrected = u("divide", u.builder.one("sqrt", (left[1],)), left[0])
    rate = u("multiply", u.rate(x), corrected)
    rate = u.chosen(u.is_first(), u.rate(x), rate)
    moved = u("multiply", u("divide", mean, u.root(squares)), rate)
    decayed = 1 - u.node.number("norm_coefficient_post")
    return u("multiply", u("subtract", x, moved), decayed), mean, squares


def _momentum(u: _Update, tensors: Sequence[Value]) -> tuple[Value, ...]:
    """Polyak's momentum, or Nesterov's; the first gradient counts whole."""
    x, gradient, speed = tensors
    mode = u.node.string("mode")
    if mode not in ("standard", "nesterov"):
        raise u.node.invalid(f"mode is {mode!r}")
    g = u.regularized(x, gradient)
    added = u.chosen(u.is_first(), g, u("multiply", g, "beta"))
    speed = u("add", u("multiply", speed, "alpha"), added)
    along = speed if mode == "standard" else u("add", g, u("multiply", speed, "alpha"))
    return u("subtract", x, u("multiply", along, u.rate(x))), speed


def _stepper(step: Step, tensors: int) -> Callable[[Node], list[Value]]:
    """Inputs are the rate, the number of the step, then all first tensors, all second ones, ..."""

    def lower(node: Node) -> list[Value]:
        given = len(node.operands) - 2
        if given < 1 or given % tensors:
            raise node.invalid(f"{given} tensors are not {tensors} for each parameter")
        count, update = given // tensors, _Update(node)
        found = [
            step(update, [node.value(2 + k + group * count) for group in range(tensors)])
            for k in range(count)
        ]
        return [value for column in zip(*found, strict=True) for value in column]

    return lower


def _gradient(node: Node) -> list[Value]:
    """The importer gives the tensor `y` after the inputs."""
    names = node.strings("xs")
    if [str(name) for name in node.proto.input[: len(names)]] != names:
        raise node.unsupported("its inputs are not the tensors that xs names")
    builder = node.builder
    inputs = [node.value(k) for k in range(len(names))]
    y = node.value(len(node.operands) - 1)
    found = differentiate(builder, [y], inputs)
    zeros = (scalar(builder, 0, x.dtype) for x in inputs)
    return [
        broadcast_to(builder, zero, x.shape) if g is None else g
        for x, g, zero in zip(inputs, found, zeros, strict=True)
    ]


LOWERINGS = (
    Lowering("Adagrad", _stepper(_adagrad, 3), domain=DOMAIN),
    Lowering("Adam", _stepper(_adam, 4), domain=DOMAIN),
    Lowering("Momentum", _stepper(_momentum, 3), domain=DOMAIN),
    Lowering("Gradient", _gradient, domain=DOMAIN),
)
