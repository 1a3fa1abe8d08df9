"""Gradients of elementwise ops as ops of their own, as TensorFlow's graphs of training steps have
them.

Formulas are derivatives of the functions, written in what each op is given: its input (`features`)
or its result (`y`, `outputs`).  Programs get them from files only: `tf.gradients` is one op here.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.formula import Formula, formulas
from tensorkiln.frontends.graph.dtypes import FLOATS, NUMBERS
from tensorkiln.frontends.graph.kinds import OpKind, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_activation import SELU_ALPHA, SELU_SCALE
from tensorkiln.frontends.graph.rules import broadcasted, formula


def _relu(gradients: Formula, features: Formula) -> Formula:
    return features.compare("GT", 0).select(gradients, 0)


def _relu6(gradients: Formula, features: Formula) -> Formula:
    below = features.compare("LT", 6).select(gradients, 0)
    return features.compare("GT", 0).select(below, 0)


def _elu(gradients: Formula, outputs: Formula) -> Formula:
    return outputs.compare("LT", 0).select(gradients * (outputs + 1.0), gradients)


def _selu(gradients: Formula, outputs: Formula) -> Formula:
    low = gradients * (outputs + SELU_SCALE * SELU_ALPHA)
    return outputs.compare("LT", 0).select(low, gradients * SELU_SCALE)


def _leaky(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    gradients, features = formulas(lowering.builder, *values)
    alpha = op.attributes["alpha"]
    assert isinstance(alpha, float)
    return [features.compare("GT", 0).select(gradients, gradients * alpha).value]


def _softplus(gradients: Formula, features: Formula) -> Formula:
    return gradients * features.apply("logistic")


def _softsign(gradients: Formula, features: Formula) -> Formula:
    size = features.apply("abs") + 1.0
    return gradients / (size * size)


def _sigmoid(y: Formula, dy: Formula) -> Formula:
    return dy * y * (1.0 - y)


def _tanh(y: Formula, dy: Formula) -> Formula:
    return dy * (1.0 - y * y)


def _sqrt(y: Formula, dy: Formula) -> Formula:
    return dy * 0.5 / y


def _rsqrt(y: Formula, dy: Formula) -> Formula:
    return dy * -0.5 * (y * y * y)


def _reciprocal(y: Formula, dy: Formula) -> Formula:
    return -dy * (y * y)


_FLOAT, _NUMBER = {"T": FLOATS}, {"T": NUMBERS}
register(
    OpKind("ReluGrad", "gradients:T features:T", broadcasted, formula(_relu), _NUMBER),
    OpKind("Relu6Grad", "gradients:T features:T", broadcasted, formula(_relu6), _NUMBER),
    OpKind("EluGrad", "gradients:T outputs:T", broadcasted, formula(_elu), _FLOAT),
    OpKind("SeluGrad", "gradients:T outputs:T", broadcasted, formula(_selu), _FLOAT),
    OpKind("LeakyReluGrad", "gradients:T features:T", broadcasted, _leaky, _FLOAT),
    OpKind("SoftplusGrad", "gradients:T features:T", broadcasted, formula(_softplus), _FLOAT),
    OpKind("SoftsignGrad", "gradients:T features:T", broadcasted, formula(_softsign), _FLOAT),
    OpKind("SigmoidGrad", "y:T dy:T", broadcasted, formula(_sigmoid), _FLOAT),
    OpKind("TanhGrad", "y:T dy:T", broadcasted, formula(_tanh), _FLOAT),
    OpKind("SqrtGrad", "y:T dy:T", broadcasted, formula(_sqrt), _FLOAT),
    OpKind("RsqrtGrad", "y:T dy:T", broadcasted, formula(_rsqrt), _FLOAT),
    OpKind("ReciprocalGrad", "y:T dy:T", broadcasted, formula(_reciprocal), _FLOAT),
)
