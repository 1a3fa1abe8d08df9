"""The update ops of the optimizers.

Formulas are those of TensorFlow's public documentation of its `Apply...` ops and of the optimizers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph.dtypes import FLOATS
from tensorkiln.frontends.graph.kinds import Lower, OpKind, Result, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_state import variable_op
from tensorkiln.frontends.graph.shapes import ShapeError, compatible, show

# update(op, current values of the mutable inputs, other inputs) -> the variables' new values
Update: TypeAlias = "Callable[[Operation, list[Formula], list[Formula]], list[Formula]]"


def _infer(op: Operation) -> Sequence[Result]:
    names = [argument.name for argument in op.kind.arguments]
    variable = op.inputs[0]
    gradient = op.inputs[names.index("grad" if "grad" in names else "delta")]
    if not compatible(variable.sizes, gradient.sizes):
        raise ShapeError(
            f"the gradient's shape {show(gradient.sizes)} is not the variable's {show(variable.sizes)}"
        )
    return [(variable.dtype, variable.sizes)]


def _updating(update: Update) -> Lower:
    """Reads the mutable inputs, computes their new values, writes all of them."""

    def lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        mutable = [k for k, argument in enumerate(op.kind.arguments) if argument.is_ref]
        variables = [variable_op(op, k) for k in mutable]
        current = [Formula(lowering.builder, lowering.read(variable)) for variable in variables]
        others = [Formula(lowering.builder, value) for value in values]
        for variable, new in zip(variables, update(op, current, others), strict=True):
            lowering.write(variable, new.value)
        return []

    return lower


def _gradient_descent(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var,), (alpha, delta) = refs, args
    return [var - delta * alpha]


def _momentum(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var, accum), (rate, grad, momentum) = refs, args
    velocity = accum * momentum + grad
    step = grad + velocity * momentum if op.flag("use_nesterov") else velocity
    return [var - step * rate, velocity]


def _adam(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    var, m, v = refs
    power1, power2, rate, beta1, beta2, epsilon, grad = args
    alpha = rate * (1.0 - power2).apply("sqrt") / (1.0 - power1)
    mean = m + (grad - m) * (1.0 - beta1)
    square = v + (grad * grad - v) * (1.0 - beta2)
    step = mean * beta1 + grad * (1.0 - beta1) if op.flag("use_nesterov") else mean
    return [var - step * alpha / (square.apply("sqrt") + epsilon), mean, square]


def _rms_prop(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var, ms, mom), (rate, rho, momentum, epsilon, grad) = refs, args
    square = ms + (grad * grad - ms) * (1.0 - rho)
    step = mom * momentum + grad * rate / (square + epsilon).apply("sqrt")
    return [var - step, square, step]


def _centered_rms_prop(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var, mg, ms, mom), (rate, rho, momentum, epsilon, grad) = refs, args
    square = ms + (grad * grad - ms) * (1.0 - rho)
    mean = mg + (grad - mg) * (1.0 - rho)
    step = mom * momentum + grad * rate / (square - mean * mean + epsilon).apply("sqrt")
    return [var - step, mean, square, step]


def _adagrad(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var, accum), (rate, grad) = refs, args
    square = accum + grad * grad
    return [var - grad * rate / square.apply("sqrt"), square]


def _adadelta(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var, accum, accum_update), (rate, rho, epsilon, grad) = refs, args
    square = accum * rho + grad * grad * (1.0 - rho)
    roots = (accum_update + epsilon).apply("sqrt") / (square + epsilon).apply("sqrt")
    update = roots * grad
    moved = accum_update * rho + update * update * (1.0 - rho)
    return [var - update * rate, square, moved]


def _proximal(var: Formula, rate: Formula, l1: Formula, l2: Formula) -> Formula:
    """Shrinks towards zero by rate * l1, then divides by 1 + rate * l2 (Duchi, Singer 2009)."""
    size = (var.apply("abs") - rate * l1).maximum(0.0)
    return var.apply("sign") * size / (rate * l2 + 1.0)


def _proximal_descent(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var,), (rate, l1, l2, delta) = refs, args
    return [_proximal(var - delta * rate, rate, l1, l2)]


def _proximal_adagrad(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var, accum), (rate, l1, l2, grad) = refs, args
    square = accum + grad * grad
    step = rate / square.apply("sqrt")
    return [_proximal(var - grad * step, step, l1, l2), square]


def _adagrad_da(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    # Duchi, Hazan, Singer: Adaptive Subgradient Methods (2011), dual averaging.
    (var, total, squares), (grad, rate, l1, l2, step) = refs, args
    steps = step.convert(var.value.dtype)
    total, squares = total + grad, squares + grad * grad
    size = (total.apply("abs") - l1 * steps).maximum(0.0)
    moved = -total.apply("sign") * size * rate
    return [moved / (l2 * steps * rate + squares.apply("sqrt")), total, squares]


def _ftrl(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    # McMahan et al.: Ad Click Prediction (2013).
    (var, accum, linear), (grad, rate, l1, l2, *shrinkage, power) = refs, args
    square = accum + grad * grad
    old, new = accum**-power, square**-power
    shrunk = grad + var * shrinkage[0] * 2.0 if shrinkage else grad
    linear = linear + shrunk - (new - old) / rate * var
    pull = linear.apply("sign") * l1 - linear
    solved = pull / (new / rate + l2 * 2.0)
    kept = linear.apply("abs").compare("GT", l1)
    return [kept.keep(solved), square, linear]


def _ada_max(op: Operation, refs: list[Formula], args: list[Formula]) -> list[Formula]:
    (var, m, v), (power, rate, beta1, beta2, epsilon, grad) = refs, args
    mean = m + (grad - m) * (1.0 - beta1)
    largest = (v * beta2).maximum(grad.apply("abs"))
    return [var - rate / (1.0 - power) * mean / (largest + epsilon), mean, largest]


_FLOAT = {"T": FLOATS}
UPDATES: tuple[tuple[str, str, Update], ...] = (
    ("ApplyGradientDescent", "var:&T alpha:T delta:T", _gradient_descent),
    ("ApplyMomentum", "var:&T accum:&T lr:T grad:T momentum:T", _momentum),
    (
        "ApplyAdam",
        "var:&T m:&T v:&T beta1_power:T beta2_power:T lr:T beta1:T beta2:T epsilon:T grad:T",
        _adam,
    ),
    (
        "ApplyAdaMax",
        "var:&T m:&T v:&T beta1_power:T lr:T beta1:T beta2:T epsilon:T grad:T",
        _ada_max,
    ),
    ("ApplyRMSProp", "var:&T ms:&T mom:&T lr:T rho:T momentum:T epsilon:T grad:T", _rms_prop),
    (
        "ApplyCenteredRMSProp",
        "var:&T mg:&T ms:&T mom:&T lr:T rho:T momentum:T epsilon:T grad:T",
        _centered_rms_prop,
    ),
    ("ApplyAdagrad", "var:&T accum:&T lr:T grad:T", _adagrad),
    (
        "ApplyAdagradDA",
        "var:&T gradient_accumulator:&T gradient_squared_accumulator:&T grad:T lr:T l1:T l2:T "
        "global_step:int64",
        _adagrad_da,
    ),
    ("ApplyAdadelta", "var:&T accum:&T accum_update:&T lr:T rho:T epsilon:T grad:T", _adadelta),
    ("ApplyFtrl", "var:&T accum:&T linear:&T grad:T lr:T l1:T l2:T lr_power:T", _ftrl),
    (
        "ApplyFtrlV2",
        "var:&T accum:&T linear:&T grad:T lr:T l1:T l2:T l2_shrinkage:T lr_power:T",
        _ftrl,
    ),
    ("ApplyProximalGradientDescent", "var:&T alpha:T l1:T l2:T delta:T", _proximal_descent),
    ("ApplyProximalAdagrad", "var:&T accum:&T lr:T l1:T l2:T grad:T", _proximal_adagrad),
)
"""Every update of a variable by a dense gradient: op type, inputs, formula."""

register(
    *(
        OpKind(name, inputs, _infer, _updating(update), _FLOAT, writes=True)
        for name, inputs, update in UPDATES
    )
)
