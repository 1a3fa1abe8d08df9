"""`tf.xla.experimental`: functions and scopes to compile."""

from tensorkiln.frontends.graph.jit_scope import compile_ as compile
from tensorkiln.frontends.graph.jit_scope import experimental_jit_scope as jit_scope
