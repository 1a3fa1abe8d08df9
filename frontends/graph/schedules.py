"""Learning rates that change with the number of steps, and the step counter itself."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkiln.frontends.graph import dtypes
from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.dtypes import DType
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


def assert_global_step(global_step_tensor: object) -> None:
    """TypeError unless this is an integer scalar that can count steps."""
    if not isinstance(global_step_tensor, Variable | Tensor):
        raise TypeError(
            f'Existing "global_step" must be a Variable or Tensor: {global_step_tensor}.'
        )
    if not global_step_tensor.dtype.base_dtype.is_integer:
        raise TypeError(
            f'Existing "global_step" does not have integer type: {global_step_tensor.dtype}'
        )
    if global_step_tensor.shape.ndims not in (0, None):
        raise TypeError(f'Existing "global_step" is not scalar: {global_step_tensor.shape}')


def get_or_create_global_step(graph: Graph | None = None) -> Variable:
    """The step counter of the graph, made if there is none."""
    return get_global_step(graph) or create_global_step(graph)


def needs_step(decay: str, global_step: object) -> None:
    """ValueError if there is no step counter."""
    if global_step is None:
        raise ValueError(f"global_step is required for {decay}.")


def _progress(rate: Tensor, global_step: object, decay_steps: object, staircase: bool) -> Tensor:
    """step / decay_steps, rounded down if `staircase`."""
    dtype = rate.dtype.base_dtype
    steps = cast(decay_steps, dtype)
    done = cast(global_step, dtype) / steps
    return floor(done) if staircase else done


def exponential_decay(
    learning_rate: object, global_step: object, decay_steps: object, decay_rate: object,
    staircase: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """rate * decay_rate ** (step / decay_steps)."""
    needs_step("exponential_decay", global_step)
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
    needs_step("natural_exp_decay", global_step)
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
    needs_step("inverse_time_decay", global_step)
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
    needs_step("polynomial_decay", global_step)
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


def _select_row(step: Tensor, boundaries: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    result = values[-1]
    for boundary, value in reversed(list(zip(boundaries, values[:-1], strict=True))):
        result = make("Select", (step <= boundary, value, result))
    return result


def piecewise_constant(
    x: object, boundaries: Sequence[object], values: Sequence[object], name: str | None = None
) -> Tensor:
    """`values[k]` where `boundaries[k - 1]` < x <= `boundaries[k]`."""
    if len(boundaries) != len(values) - 1:
        raise ValueError("The length of boundaries should be 1 less than the length of values")
    with name_scope(name, "PiecewiseConstant", [x, *boundaries, *values]):
        step = convert_to_tensor(x)
        dtype = step.dtype.base_dtype
        edges = [_boundary(edge, dtype) for edge in boundaries]
        levels = [convert_to_tensor(value) for value in values]
        for level in levels[1:]:
            if level.dtype.base_dtype is not levels[0].dtype.base_dtype:
                raise ValueError(
                    f"Values must have elements all with the same dtype ({levels[0].dtype.name} "
                    f"vs {level.dtype.name})"
                )
        return _select_row(step, edges, levels)


def _boundary(edge: object, dtype: DType) -> Tensor:
    """A boundary in the dtype of x; ValueError where that would lose something."""
    tensor = convert_to_tensor(edge)
    own = tensor.dtype.base_dtype
    if own is dtype:
        return tensor
    if own is dtypes.int32 and dtype is dtypes.int64:
        return cast(tensor, dtype)
    raise ValueError(f"Boundaries ({own.name}) must have the same dtype as x ({dtype.name}).")
