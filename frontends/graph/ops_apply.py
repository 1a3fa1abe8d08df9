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
    variable, gradient = op.inputs[0], op.inputs[-1 if op.type != "ApplyMomentum" else 3]
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


_FLOAT = {"T": FLOATS}
_ALL: tuple[tuple[str, str, Update], ...] = (
    ("ApplyGradientDescent", "var:&T alpha:T delta:T", _gradient_descent),
    ("ApplyMomentum", "var:&T accum:&T lr:T grad:T momentum:T", _momentum),
    (
        "ApplyAdam",
        "var:&T m:&T v:&T beta1_power:T beta2_power:T lr:T beta1:T beta2:T epsilon:T grad:T",
        _adam,
    ),
    ("ApplyRMSProp", "var:&T ms:&T mom:&T lr:T rho:T momentum:T epsilon:T grad:T", _rms_prop),
    (
        "ApplyCenteredRMSProp",
        "var:&T mg:&T ms:&T mom:&T lr:T rho:T momentum:T epsilon:T grad:T",
        _centered_rms_prop,
    ),
    ("ApplyAdagrad", "var:&T accum:&T lr:T grad:T", _adagrad),
    ("ApplyAdadelta", "var:&T accum:&T accum_update:&T lr:T rho:T epsilon:T grad:T", _adadelta),
)
register(
    *(
        OpKind(name, inputs, _infer, _updating(update), _FLOAT, writes=True)
        for name, inputs, update in _ALL
    )
)
