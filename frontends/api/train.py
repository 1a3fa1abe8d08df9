"""`tf.train`: optimizers and learning rates."""

import numpy as np

from tensorkiln.frontends.graph.averages import ExponentialMovingAverage
from tensorkiln.frontends.graph.optimizer import Optimizer
from tensorkiln.frontends.graph.optimizers import (
    AdadeltaOptimizer,
    AdagradOptimizer,
    AdamOptimizer,
    GradientDescentOptimizer,
    MomentumOptimizer,
    RMSPropOptimizer,
)  # fmt: skip
from tensorkiln.frontends.graph.optimizers_proximal import (
    AdagradDAOptimizer,
    FtrlOptimizer,
    ProximalAdagradOptimizer,
    ProximalGradientDescentOptimizer,
)  # fmt: skip
from tensorkiln.frontends.graph.schedules import (
    assert_global_step,
    create_global_step,
    exponential_decay,
    get_global_step,
    get_or_create_global_step,
    inverse_time_decay,
    natural_exp_decay,
    piecewise_constant,
    polynomial_decay,
)  # fmt: skip
from tensorkiln.frontends.graph.schedules_cosine import (
    cosine_decay,
    cosine_decay_restarts,
    linear_cosine_decay,
    noisy_linear_cosine_decay,
)  # fmt: skip
from tensorkiln.frontends.graph.session import BaseSession

piecewise_constant_decay = piecewise_constant


def global_step(sess: BaseSession, global_step_tensor: object) -> int:
    """The value of the step counter in a session."""
    return int(np.asarray(sess.run(global_step_tensor)))
