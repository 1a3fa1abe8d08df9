"""Learning rates that follow cosines.

Loshchilov, Hutter: SGDR (2017); Bello et al.: Neural Optimizer Search (2017) for the linear ones.
"""

from __future__ import annotations

import math

from tensorkiln.frontends.graph.apply import make
from tensorkiln.frontends.graph.convert import convert_to_tensor
from tensorkiln.frontends.graph.ops_elementwise import cast, minimum, multiply
from tensorkiln.frontends.graph.ops_random import random_normal
from tensorkiln.frontends.graph.schedules import needs_step
from tensorkiln.frontends.graph.scopes import name_scope
from tensorkiln.frontends.graph.tensor import Tensor


def _wave(done: Tensor, periods: float = 0.5) -> Tensor:
    """(1 + cos(2 pi periods done)) / 2."""
    return (make("Cos", (done * (2.0 * math.pi * periods),)) + 1.0) * 0.5


def cosine_decay(
    learning_rate: object, global_step: object, decay_steps: object, alpha: float = 0.0,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)."""
    needs_step("cosine decay", global_step)
    with name_scope(name, "CosineDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="learning_rate")
        dtype = rate.dtype.base_dtype
        steps = cast(decay_steps, dtype)
        done = minimum(cast(global_step, dtype), steps) / steps
        return multiply(rate, _wave(done) * (1.0 - alpha) + alpha, name=scope)


def cosine_decay_restarts(
    learning_rate: object, global_step: object, first_decay_steps: object, t_mul: float = 2.0,
    m_mul: float = 1.0, alpha: float = 0.0, name: str | None = None,
) -> Tensor:  # fmt: skip
    """A cosine decay that starts again after each period; each period is `t_mul` times as long
    as the one before and starts at `m_mul` times its rate."""
    needs_step("cosine decay restarts", global_step)
    with name_scope(name, "SGDRDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="initial_learning_rate")
        dtype = rate.dtype.base_dtype
        done = cast(global_step, dtype) / cast(first_decay_steps, dtype)
        if t_mul == 1.0:
            period = make("Floor", (done,))
            done = done - period
        else:
            grown = make("Log", (1.0 - done * (1.0 - t_mul),)) / math.log(t_mul)
            period = make("Floor", (grown,))
            power = make("Pow", (cast(t_mul, dtype), period))
            done = (done - (1.0 - power) / (1.0 - t_mul)) / power
        height = make("Pow", (cast(m_mul, dtype), period))
        return multiply(rate, height * _wave(done) * (1.0 - alpha) + alpha, name=scope)


def linear_cosine_decay(
    learning_rate: object, global_step: object, decay_steps: object, num_periods: float = 0.5,
    alpha: float = 0.0, beta: float = 0.001, name: str | None = None,
) -> Tensor:  # fmt: skip
    """rate * ((alpha + 1 - t) * (1 + cos(2 pi periods t)) / 2 + beta), t = step / decay_steps."""
    needs_step("linear cosine decay", global_step)
    with name_scope(name, "LinearCosineDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="learning_rate")
        dtype = rate.dtype.base_dtype
        steps = cast(decay_steps, dtype)
        done = minimum(cast(global_step, dtype), steps) / steps
        line = 1.0 - done
        return multiply(rate, (line + alpha) * _wave(done, num_periods) + beta, name=scope)


def noisy_linear_cosine_decay(
    learning_rate: object, global_step: object, decay_steps: object,
    initial_variance: float = 1.0, variance_decay: float = 0.55, num_periods: float = 0.5,
    alpha: float = 0.0, beta: float = 0.001, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The linear cosine decay with noise of variance initial / (1 + step) ** decay on the line."""
    needs_step("noisy linear cosine decay", global_step)
    with name_scope(name, "NoisyLinearCosineDecay", [learning_rate, global_step]) as scope:
        rate = convert_to_tensor(learning_rate, name="learning_rate")
        dtype = rate.dtype.base_dtype
        steps = cast(decay_steps, dtype)
        step = minimum(cast(global_step, dtype), steps)
        spread = make("Pow", (1.0 + step, cast(variance_decay, dtype)))
        deviation = make("Sqrt", (initial_variance / spread,))
        noise = random_normal((), dtype=dtype) * deviation
        done = step / steps
        line = 1.0 - done + noise
        return multiply(rate, (line + alpha) * _wave(done, num_periods) + beta, name=scope)
