"""`tf.random`: random tensors under their newer names."""

from tensorkiln.frontends.graph.ops_random import random_normal as normal
from tensorkiln.frontends.graph.ops_random import random_uniform as uniform
from tensorkiln.frontends.graph.ops_random import set_random_seed, truncated_normal

set_seed = set_random_seed
