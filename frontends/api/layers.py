"""`tf.layers`: layers that make their own variables."""

from tensorkiln.frontends.graph.dense_layer import Dense
from tensorkiln.frontends.graph.layers import (
    average_pooling2d,
    batch_normalization,
    conv2d,
    dense,
    dropout,
    flatten,
    max_pooling2d,
)
