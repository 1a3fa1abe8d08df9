"""`tf.contrib.util`: values that are known while the graph is built."""

from tensorkiln.frontends.graph.shape_functions import get_static_value as constant_value
