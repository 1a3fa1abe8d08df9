"""Top-level names of control flow: branches, loops, arrays of tensors."""

from tensorkiln.frontends.graph.control_flow import case, cond, switch_case, while_loop
from tensorkiln.frontends.graph.functional_ops import foldl, foldr, map_fn, scan
from tensorkiln.frontends.graph.tensor_array import TensorArray
