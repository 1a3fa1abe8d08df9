"""Activation functions of nets."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.compiler.ir.function import Value
from tensorkiln.compiler.ops.formula import Formula
from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import graph_of, make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import FLOATS, NUMBERS
from tensorkiln.frontends.graph.errors import InvalidArgumentError
from tensorkiln.frontends.graph.kinds import OpKind, register
from tensorkiln.frontends.graph.lowering import Lowering
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.rules import formula, like_input
from tensorkiln.frontends.graph.tensor import Tensor

# Klambauer et al.: Self-Normalizing Neural Networks (2017).
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


def _relu(x: Formula) -> Formula:
    # The gradient at 0 is 0, so a select and no maximum, whose gradient a tie shares or keeps.
    return x.compare("GT", 0).select(x, 0)


def _relu6(x: Formula) -> Formula:
    inside = x.compare("LT", 6).select(x, 6)
    return x.compare("GT", 0).select(inside, 0)


def _negative_part(x: Formula) -> Formula:
    """min(x, 0): what goes into an exponential, so that large x do not overflow there."""
    return x.compare("LT", 0).select(x, 0)


def _elu(x: Formula) -> Formula:
    low = _negative_part(x).apply("exponential_minus_one")
    return x.compare("GT", 0).select(x, 0) + low


def _selu(x: Formula) -> Formula:
    low = _negative_part(x).apply("exponential_minus_one") * SELU_ALPHA
    return (x.compare("GT", 0).select(x, 0) + low) * SELU_SCALE


def _softplus(x: Formula) -> Formula:
    # max(x, 0) + log(1 + exp(-|x|)); the gradient at 0 is logistic(0) = 1/2 by the parts' choice
    small = (-x.apply("abs")).apply("exponential").apply("log_plus_one")
    return (x + x.apply("abs")) * 0.5 + small


def _softsign(x: Formula) -> Formula:
    return x / (x.apply("abs") + 1.0)


def _leaky(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    x, alpha = Formula(lowering.builder, values[0]), op.attributes["alpha"]
    assert isinstance(alpha, float)
    return [x.compare("GT", 0).select(x, x * alpha).value]


def _softmax_lower(lowering: Lowering, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    name = "softmax" if op.type == "Softmax" else "log_softmax"
    axis = op.integer("axis") % len(values[0].shape)
    return [lowering.builder.one(name, values, axis=axis)]


def relu(features: object, name: str | None = None) -> Tensor:
    """max(x, 0); its gradient at 0 is 0."""
    return make("Relu", (features,), name)


def relu6(features: object, name: str | None = None) -> Tensor:
    """min(max(x, 0), 6)."""
    return make("Relu6", (features,), name)


def elu(features: object, name: str | None = None) -> Tensor:
    """x where positive, exp(x) - 1 elsewhere."""
    return make("Elu", (features,), name)


def selu(features: object, name: str | None = None) -> Tensor:
    """The scaled exponential linear unit."""
    return make("Selu", (features,), name)


def leaky_relu(features: object, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """x where positive, alpha * x elsewhere."""
    with graph_of([features]).as_default():
        tensor = convert_to_tensor(features, name="features")
        if tensor.dtype.is_integer:
            tensor = make("Cast", (tensor,), "Cast", DstT=dtypes.float32)
        return make("LeakyRelu", (tensor,), name, alpha=float(alpha))


def crelu(features: object, name: str | None = None, axis: int = -1) -> Tensor:
    """relu(x) and relu(-x) side by side along `axis`."""
    with graph_of([features]).name_scope(name or "CRelu"):
        x = convert_to_tensor(features, name="features")
        both = make("ConcatV2", ([x, make("Neg", (x,))], axis), "concat")
        return make("Relu", (both,))


def swish(features: object, name: str | None = None, beta: float = 1.0) -> Tensor:
    """x * sigmoid(beta * x) (Ramachandran, Zoph, Le: Searching for activation functions, 2017)."""
    with graph_of([features]).name_scope(name or "swish"):
        x = convert_to_tensor(features, name="features")
        scaled = x if beta == 1.0 else x * convert_to_tensor(beta, x.dtype.base_dtype)
        return x * make("Sigmoid", (scaled,))


def softplus(features: object, name: str | None = None) -> Tensor:
    """log(1 + exp(x))."""
    return make("Softplus", (features,), name)


def softsign(features: object, name: str | None = None) -> Tensor:
    """x / (1 + |x|)."""
    return make("Softsign", (features,), name)


def softmax(
    logits: object, axis: int | None = None, name: str | None = None, dim: int | None = None
) -> Tensor:
    """exp(x) / sum(exp(x)) along the last dim (or `axis`)."""
    return _soft("Softmax", logits, axis if dim is None else dim, name)


def log_softmax(
    logits: object, axis: int | None = None, name: str | None = None, dim: int | None = None
) -> Tensor:
    """x - log(sum(exp(x))) along the last dim (or `axis`)."""
    return _soft("LogSoftmax", logits, axis if dim is None else dim, name)


def _soft(kind: str, logits: object, axis: int | None, name: str | None) -> Tensor:
    with graph_of([logits]).as_default():
        tensor = convert_to_tensor(logits)
        place = -1 if axis is None else axis
        if tensor.sizes is not None and not -len(tensor.sizes) <= place < len(tensor.sizes):
            rank = len(tensor.sizes)
            raise InvalidArgumentError(
                None, None, f"`dim` must be in the range [{-rank}, {rank}) where {rank} is the "
                f"number of dimensions in the input. Received: dim={place}",
            )  # fmt: skip
        return make(kind, (tensor,), name, axis=place)


_FLOAT = {"T": FLOATS}
register(
    OpKind("Relu", "features:T", like_input, formula(_relu), {"T": NUMBERS}),
    OpKind("Relu6", "features:T", like_input, formula(_relu6), {"T": NUMBERS}),
    OpKind("Elu", "features:T", like_input, formula(_elu), _FLOAT),
    OpKind("Selu", "features:T", like_input, formula(_selu), _FLOAT),
    OpKind("LeakyRelu", "features:T", like_input, _leaky, _FLOAT),
    OpKind("Softplus", "features:T", like_input, formula(_softplus), _FLOAT),
    OpKind("Softsign", "features:T", like_input, formula(_softsign), _FLOAT),
    OpKind("Softmax", "logits:T", like_input, _softmax_lower, _FLOAT),
    OpKind("LogSoftmax", "logits:T", like_input, _softmax_lower, _FLOAT),
)
