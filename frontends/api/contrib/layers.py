"""`tf.contrib.layers`: regularizers and initializers."""

from tensorkiln.frontends.graph.initializers import VarianceScaling, xavier_initializer
from tensorkiln.frontends.graph.layers import flatten
from tensorkiln.frontends.graph.regularizers import (
    apply_regularization,
    l1_l2_regularizer,
    l1_regularizer,
    l2_regularizer,
    sum_regularizer,
)  # fmt: skip

xavier_initializer_conv2d = xavier_initializer


def variance_scaling_initializer(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: int | None = None,
    dtype: object = "float32",
) -> VarianceScaling:  # fmt: skip
    """Random values of variance factor / n, n by `mode`: FAN_IN, FAN_OUT or FAN_AVG."""
    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise TypeError(f"Unknown mode {mode} [FAN_IN, FAN_OUT, FAN_AVG]")
    distribution = "uniform" if uniform else "truncated_normal"
    return VarianceScaling(factor, mode.lower(), distribution, seed, dtype)
