"""Gradients that programs give themselves: RegisterGradient with gradient_override_map, and
custom_gradient.

`tf.gradients` differentiates a graph as a whole; at an op with a gradient of its own it is cut, and
the program's function builds the graph between the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Any, TypeAlias

from tensorkiln.frontends.graph.apply import apply_op
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.kinds import GRADIENT_OVERRIDE
from tensorkiln.frontends.graph.operation import Operation
from tensorkiln.frontends.graph.ops_constant import zeros_like
from tensorkiln.frontends.graph.rules import base
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor

GradientFunction: TypeAlias = Callable[..., Any]
Plain: TypeAlias = Callable[..., Sequence[Any]]

_FUNCTION = "_gradient_function"
_REGISTRY: dict[str, GradientFunction | None] = {"Identity": lambda op, gradient: gradient}


class RegisterGradient:
    """A decorator: `function(op, *output_gradients)` is the gradient registered as `op_type`.

    Ops take it by Graph.gradient_override_map.  KeyError if the name is taken.
    """

    def __init__(self, op_type: str) -> None:
        if not isinstance(op_type, str):
            raise TypeError("op_type must be a string")
        self._op_type = op_type

    def __call__(self, f: GradientFunction) -> GradientFunction:
        """Registers `f`."""
        if self._op_type in _REGISTRY:
            raise KeyError(f"Registering two gradient with name '{self._op_type}'!")
        _REGISTRY[self._op_type] = f
        return f


def NotDifferentiable(op_type: str) -> None:
    """Registers that nothing flows through ops that take the gradient `op_type`."""
    if op_type in _REGISTRY:
        raise KeyError(f"Registering two gradient with name '{op_type}'!")
    _REGISTRY[op_type] = None


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: `f(*tensors)` returns its result and the function that makes of the result's
    gradients those of the tensors."""

    @wraps(f)
    def decorated(*args: object, **kwargs: object) -> Any:
        with name_scope(None, "CustomGradient", list(args)):
            given = [apply_op("Identity", (arg,)).outputs[0] for arg in args]
            result, function = f(*given, **kwargs)
            several = isinstance(result, list | tuple)
            flat = [convert_to_tensor(r) for r in (result if several else [result])]

            def gradient(op: Operation, *gradients: object) -> list[object]:
                found = function(*gradients[: len(flat)])
                parts = list(found) if isinstance(found, list | tuple) else [found]
                return [None] * len(flat) + parts

            attributes = {GRADIENT_OVERRIDE: "CustomGradient", _FUNCTION: gradient}
            made = apply_op("IdentityN", ([*flat, *given],), None, attributes).outputs[: len(flat)]
            return type(result)(made) if several else made[0]

    return decorated


def overriding(outputs: Sequence[Tensor], stops: Collection[Tensor]) -> list[Operation]:
    """The ops with gradients of their own that a gradient of the outputs meets, last first."""
    found: list[Operation] = []
    seen: set[Operation] = set()
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        op = tensor.op
        own = GRADIENT_OVERRIDE in op.attributes
        if tensor in stops or op in seen or not (own or op.kind.differentiable):
            continue
        seen.add(op)
        if own:
            found.append(op)
        waiting += op.inputs
    return sorted(found, key=lambda op: -op.number)


def by_parts(
    plain: Plain,
    ops: Sequence[Operation],
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    weights: Sequence[object],
    stops: Collection[Tensor],
    name: str,
) -> list[Any]:
    """The gradients where `ops` (see overriding) have gradients of their own.

    `plain(ys, xs, weights, stops, name)` differentiates what lies between.
    """
    cut = {tensor for op in ops for tensor in op.outputs} | set(stops)
    ys, given = list(outputs), list(weights)
    for op in ops:
        wanted = [tensor for tensor in op.outputs if base(tensor).is_floating]
        found = dict(zip(wanted, plain(ys, wanted, given, cut, name), strict=True))
        if all(gradient is None for gradient in found.values()):
            continue
        filled = [
            zeros_like(t) if found.get(t) is None else convert_to_tensor(found[t])
            for t in op.outputs
        ]
        for tensor, gradient in zip(op.inputs, _own(op, filled), strict=True):
            if gradient is not None and base(tensor).is_floating:
                ys.append(tensor)
                given.append(gradient)
    return list(plain(ys, inputs, given, cut, name))


def _own(op: Operation, gradients: Sequence[Tensor]) -> list[object]:
    """What the op's own gradient function gives for its inputs."""
    key = str(op.attributes[GRADIENT_OVERRIDE])
    function: Any = op.attributes.get(_FUNCTION)
    if function is None:
        if key not in _REGISTRY:
            raise LookupError(
                f"No gradient defined for operation '{op.name}' (op type: {op.type}): nothing is "
                f"registered as {key!r}"
            )
        function = _REGISTRY[key]
        if function is None:
            return [None] * len(op.inputs)
    with name_scope(f"gradients/{op.name}_grad"):
        found = function(op, *gradients)
    parts = list(found) if isinstance(found, list | tuple) else [found]
    if len(parts) != len(op.inputs):
        raise ValueError(
            f"Num gradients {len(parts)} generated for op {op.name} do not match num inputs "
            f"{len(op.inputs)}"
        )
    return parts
