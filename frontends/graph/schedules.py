"""Learning rates that change with the number of steps, and the step counter itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.graph import Graph
from tensorkiln.frontends.graph.graph_keys import GraphKeys
from tensorkiln.frontends.graph.initializers import Zeros
from tensorkiln.frontends.graph.ops_elementwise import cast, floor, minimum, multiply, pow_
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.stack import get_default_graph
from tensorkiln.frontends.graph.tensor import Tensor
from tensorkiln.frontends.graph.variable_scope import get_variable
from tensorkiln.frontends.graph.variables import Variable


def create_global_step(graph: Graph | None = None) -> Variable:
    """A new step counter of the graph; ValueError if there is one."""
    target = graph or get_default_graph()
    if get_global_step(target) is not None:
        raise ValueError('"global_step" already exists.')
    keys = [GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP]
    with target.as_default(), target.name_scope(None):
        return get_variable(
            "global_step", (), dtypes.int64, Zeros(), trainable=False, collections=keys
        )


def get_global_step(graph: Graph | None = None) -> Variable | None:
    """The step counter of the graph, or None."""
    target = graph or get_default_graph()
    for found in target.get_collection(GraphKeys.GLOBAL_STEP):
        assert isinstance(found, Variable)
        return found
    for found in target.get_collection(GraphKeys.GLOBAL_VARIABLES):
        if isinstance(found, Variable) and found.name == "global_step:0":
            return found
    return None


def get_or_create_global_step(graph: Graph | None = None) -> Variable:
    """The step counter of the graph, made if there is none."""
    return get_global_step(graph) or create_global_step(graph)


def _progress(rate: Tensor, global_step: object, decay_steps: object, staircase: bool) -> Tensor:
    """step / decay_steps, rounded down if `staircase`."""
    if global_step is None:
        raise ValueError("global_step is required for this decay.")
    dtype = rate.dtype.base_dtype
    steps = cast(decay_steps, dtype)
    done = cast(global_step, dtype) / steps
    return floor(done) if staircase else done


def exponential_decay(
    learning_rate: object, global_step: object, decay_steps: object, decay_rate: object,
    staircase: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """rate * decay_rate ** (step / decay_steps)."""
    with name_scope(name, "ExponentialDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="learning_rate")
        factor = cast(decay_rate, rate.dtype.base_dtype)
        done = _progress(rate, global_step, decay_steps, staircase)
        return multiply(rate, pow_(factor, done), name=scope)


def natural_exp_decay(
    learning_rate: object, global_step: object, decay_steps: object, decay_rate: object,
    staircase: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """rate * exp(-decay_rate * step / decay_steps)."""
    with name_scope(name, "NaturalExpDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="learning_rate")
        factor = cast(decay_rate, rate.dtype.base_dtype)
        done = _progress(rate, global_step, decay_steps, staircase)
        return multiply(rate, make("Exp", (-factor * done,)), name=scope)


def inverse_time_decay(
    learning_rate: object, global_step: object, decay_steps: object, decay_rate: object,
    staircase: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """rate / (1 + decay_rate * step / decay_steps)."""
    with name_scope(name, "InverseTimeDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="learning_rate")
        factor = cast(decay_rate, rate.dtype.base_dtype)
        done = _progress(rate, global_step, decay_steps, staircase)
        return make("RealDiv", (rate, 1.0 + factor * done), scope)


def polynomial_decay(
    learning_rate: object, global_step: object, decay_steps: object,
    end_learning_rate: object = 0.0001, power: object = 1.0, cycle: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """(rate - end) * (1 - step / decay_steps) ** power + end; with `cycle` it starts again."""
    with name_scope(name, "PolynomialDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="learning_rate")
        dtype = rate.dtype.base_dtype
        end, exponent = cast(end_learning_rate, dtype), cast(power, dtype)
        step, steps = cast(global_step, dtype), cast(decay_steps, dtype)
        if cycle:
            one = make("OnesLike", (step,), dtype=dtype)
            rounds = make(
                "Select", (make("Equal", (step, 0.0)), one, make("Ceil", (step / steps,)))
            )
            steps = steps * rounds
        else:
            step = minimum(step, steps)
        left = pow_(1.0 - step / steps, exponent)
        return make("Add", ((rate - end) * left, end), scope)


def cosine_decay(
    learning_rate: object, global_step: object, decay_steps: object, alpha: float = 0.0,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)."""
    with name_scope(name, "CosineDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="learning_rate")
        dtype = rate.dtype.base_dtype
        steps = cast(decay_steps, dtype)
        done = minimum(cast(global_step, dtype), steps) / steps
        wave = (make("Cos", (done * np.pi,)) + 1.0) * 0.5
        return multiply(rate, wave * (1.0 - alpha) + alpha, name=scope)


def piecewise_constant(
    x: object, boundaries: Sequence[float], values: Sequence[object], name: str | None = None
) -> Tensor:
    """`values[k]` where `boundaries[k - 1]` < x <= `boundaries[k]`."""
    if len(boundaries) != len(values) - 1:
        raise ValueError("The length of boundaries should be 1 less than the length of values")
    with name_scope(name, "PiecewiseConstant", [x, *values]):
        step = convert_to_tensor(x)
        result = convert_to_tensor(values[-1])
        for boundary, value in reversed(list(zip(boundaries, values[:-1], strict=True))):
            at_most = step <= boundary
            result = make("Select", (at_most, convert_to_tensor(value), result))
        return result
