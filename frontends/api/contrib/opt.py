"""`tf.contrib.opt`: optimizers beyond `tf.train`."""

from tensorkiln.frontends.graph.optimizers import (
    AdaMaxOptimizer,
    LazyAdamOptimizer,
    NadamOptimizer,
)  # fmt: skip
