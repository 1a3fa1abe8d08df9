"""Top-level names of mathematics beyond the everyday functions."""

from tensorkiln.frontends.graph.initializers_orthogonal import Orthogonal
from tensorkiln.frontends.graph.norms import (
    accumulate_n,
    cross,
    is_non_decreasing,
    is_strictly_increasing,
    norm,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_bits import bitcast, saturate_cast
from tensorkiln.frontends.graph.ops_elementwise import divide, floor_div, mod
from tensorkiln.frontends.graph.ops_quantize import (
    fake_quant_with_min_max_args,
    fake_quant_with_min_max_vars,
    fake_quant_with_min_max_vars_per_channel,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_random import get_seed
from tensorkiln.frontends.graph.ops_random_host import (
    random_crop,
    random_gamma,
    random_poisson,
    random_shuffle,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_random_stateless import multinomial
from tensorkiln.frontends.graph.ops_special import (
    acosh,
    asinh,
    atanh,
    digamma,
    div_no_nan,
    lbeta,
    lgamma,
    log_sigmoid,
    polygamma,
    zeta,
)  # fmt: skip
from tensorkiln.frontends.graph.regularizers import no_regularizer

orthogonal_initializer = Orthogonal
realdiv, floormod = divide, mod
