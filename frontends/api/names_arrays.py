"""Top-level names of functions that rearrange and count elements."""

from tensorkiln.frontends.graph.ops_counting import (
    bincount,
    confusion_matrix,
    count_nonzero,
    histogram_fixed_width,
    histogram_fixed_width_bins,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_einsum import einsum
from tensorkiln.frontends.graph.ops_join import stack, unstack
from tensorkiln.frontends.graph.ops_matrix import (
    diag,
    diag_part,
    matrix_band_part,
    matrix_set_diag,
    matrix_transpose,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_patches import extract_image_patches, extract_volume_patches
from tensorkiln.frontends.graph.ops_rearrange import (
    invert_permutation,
    meshgrid,
    repeat,
    reverse_sequence,
    roll,
    searchsorted,
    sequence_mask,
    unravel_index,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_select import where
from tensorkiln.frontends.graph.ops_shape import reverse
from tensorkiln.frontends.graph.ops_spaces import (
    batch_to_space,
    batch_to_space_nd,
    depth_to_space,
    required_space_to_batch_paddings,
    space_to_batch,
    space_to_batch_nd,
    space_to_depth,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_where import setdiff1d
from tensorkiln.frontends.graph.shape_functions import (
    broadcast_dynamic_shape,
    dimension_at_index,
    dimension_value,
    ensure_shape,
    get_static_value,
    guarantee_const,
    identity_n,
    parallel_stack,
    shape_n,
)  # fmt: skip

reverse_v2 = reverse
# What version 0 called them.
pack, unpack, select, listdiff = stack, unstack, where, setdiff1d
