"""`tf.contrib.compiler.jit`: marks for ops to compile."""

from tensorkiln.frontends.graph.jit_scope import experimental_jit_scope
