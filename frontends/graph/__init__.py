"""TensorFlow-1-style graphs and sessions.

Importing the package fills the table of op types.
"""

from __future__ import annotations

from tensorkiln.frontends.graph import (
    ops_activation,
    ops_apply,
    ops_constant,
    ops_convolution,
    ops_elementwise,
    ops_gradient,
    ops_join,
    ops_loss,
    ops_matmul,
    ops_normalize,
    ops_pool,
    ops_random,
    ops_reduce,
    ops_scan,
    ops_select,
    ops_shape,
    ops_slice,
    ops_state,
)

OP_FAMILIES = (
    ops_activation,
    ops_apply,
    ops_constant,
    ops_convolution,
    ops_elementwise,
    ops_gradient,
    ops_join,
    ops_loss,
    ops_matmul,
    ops_normalize,
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
