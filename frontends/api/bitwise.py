"""`tf.bitwise`: integers as rows of bits."""

from tensorkiln.frontends.graph.ops_bits import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    invert,
    left_shift,
    right_shift,
)  # fmt: skip
