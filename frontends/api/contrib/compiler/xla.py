"""`tf.contrib.compiler.xla`: functions to compile."""

from tensorkiln.frontends.graph.jit_scope import compile_ as compile
