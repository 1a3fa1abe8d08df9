"""TensorFlow-1-style graphs and sessions.

Importing the package fills the table of op types.
"""

from __future__ import annotations

from tensorkiln.frontends.graph import (
    norms,
    ops_activation,
    ops_apply,
    ops_bits,
    ops_constant,
    ops_convolution,
    ops_elementwise,
    ops_gather,
    ops_gradient,
    ops_join,
    ops_loss,
    ops_matmul,
    ops_normalize,
    ops_parsing,
    ops_partition,
    ops_pool,
    ops_quantize,
    ops_random,
    ops_reduce,
    ops_scan,
    ops_scatter,
    ops_segment,
    ops_select,
    ops_shape,
    ops_slice,
    ops_special,
    ops_state,
    ops_where,
)
from tensorkiln.frontends.graph.summary import ops as ops_summary

OP_FAMILIES = (
    norms,
    ops_activation,
    ops_apply,
    ops_bits,
    ops_constant,
    ops_convolution,
    ops_elementwise,
    ops_gather,
    ops_gradient,
    ops_join,
    ops_loss,
    ops_matmul,
    ops_normalize,
    ops_partition,
    ops_pool,
    ops_quantize,
    ops_random,
    ops_reduce,
    ops_scan,
    ops_scatter,
    ops_segment,
    ops_select,
    ops_shape,
    ops_slice,
    ops_special,
    ops_state,
    ops_where,
    ops_summary,
)
"""The modules whose entries make up the table."""
