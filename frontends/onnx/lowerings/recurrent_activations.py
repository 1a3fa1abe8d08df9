"""The activations that recurrent layers choose by name, with their alpha and beta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.onnx.node import Node

Activation: TypeAlias = Callable[[Formula], Formula]


@dataclass(frozen=True)
class _Shape:
    """An activation f(x, alpha, beta), and the defaults of those it has (None: it has none)."""

    apply: Callable[[Formula, float, float], Formula]
    alpha: float | None = None
    beta: float | None = None


def _positive(x: Formula, on_true: Formula, on_false: Formula) -> Formula:
    return x.compare("GE", 0.0).select(on_true, on_false)


_SHAPES: dict[str, _Shape] = {
    "relu": _Shape(lambda x, a, b: x.maximum(0.0)),
    "tanh": _Shape(lambda x, a, b: x.apply("tanh")),
    "sigmoid": _Shape(lambda x, a, b: x.apply("logistic")),
    "affine": _Shape(lambda x, a, b: x * a + b, 1.0, 0.0),
    "leakyrelu": _Shape(lambda x, a, b: _positive(x, x, x * a), 0.01),
    "thresholdedrelu": _Shape(lambda x, a, b: x.compare("GT", a).keep(x), 1.0),
    "scaledtanh": _Shape(lambda x, a, b: (x * b).apply("tanh") * a, 1.0, 1.0),
    "hardsigmoid": _Shape(lambda x, a, b: -(-(x * a + b).maximum(0.0)).maximum(-1.0), 0.2, 0.5),
    "elu": _Shape(lambda x, a, b: _positive(x, x, x.apply("exponential_minus_one") * a), 1.0),
    "softsign": _Shape(lambda x, a, b: x / (x.apply("abs") + 1.0)),
    # log(1 + e^x) without overflow: max(x, 0) + log(1 + e^-|x|)
    "softplus": _Shape(
        lambda x, a, b: (
            x.maximum(0.0) + (-x.apply("abs")).apply("exponential").apply("log_plus_one")
        )
    ),
}


def activations(node: Node, defaults: Sequence[str], directions: int) -> list[list[Activation]]:
    """The activations of each direction in the order of the layer's equations.

    `activation_alpha` and `activation_beta` are used up in order by those functions that have one.
    """
    names = list(defaults) * directions
    if node.given("activations"):
        names = node.strings("activations")
    if len(names) != len(defaults) * directions:
        raise node.invalid(f"{len(names)} activations, not {len(defaults) * directions}")
    alphas, betas = (list(node.numbers(f"activation_{k}", ())) for k in ("alpha", "beta"))
    found: list[Activation] = []
    for name in names:
        shape = _SHAPES.get(name.lower())
        if shape is None:
            raise node.invalid(f"there is no activation {name!r}")
        alpha, beta = _next(alphas, shape.alpha), _next(betas, shape.beta)
        found.append(_bound(shape, alpha, beta))
    size = len(defaults)
    return [found[k * size : (k + 1) * size] for k in range(directions)]


def _next(given: list[float], default: float | None) -> float:
    if default is None:
        return 0.0
    return given.pop(0) if given else default


def _bound(shape: _Shape, alpha: float, beta: float) -> Activation:
    return lambda x: shape.apply(x, alpha, beta)
