"""TensorFlow-1-style graphs and sessions.

Importing the package fills the table of op types.
"""

from __future__ import annotations

from tensorkiln.frontends.graph import (
    norms,
    ops_activation,
    ops_bits,
    ops_apply,
    ops_constant,
    ops_convolution,
    ops_elementwise,
    ops_gradient,
    ops_join,
    ops_loss,
    ops_matmul,
    ops_quantize,
    ops_normalize,
    ops_pool,
    ops_random,
    ops_reduce,
    ops_scan,
    ops_special,
    ops_select,
    ops_shape,
    ops_slice,
    norms,
    ops_state,
    ops_bits,
)

OP_FAMILIES = (
    ops_activation,
    ops_apply,
    ops_constant,
    ops_convolution,
    ops_elementwise,
    ops_quantize,
    ops_gradient,
    ops_join,
    ops_loss,
    ops_matmul,
    ops_normalize,
    ops_special,
    ops_pool,
    ops_random,
    ops_reduce,
    ops_scan,
    ops_select,
    ops_shape,
    ops_slice,
    ops_state,
)
"""The modules whose entries make up the table."""
