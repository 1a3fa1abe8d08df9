"""Top-level names of mathematics beyond the everyday functions."""

from tensorkiln.frontends.graph.dtypes import complex64, complex128
from tensorkiln.frontends.graph.hessian import hessians
from tensorkiln.frontends.graph.initializers_orthogonal import Orthogonal
from tensorkiln.frontends.graph.norms import (
    accumulate_n,
    cross,
    is_non_decreasing,
    is_strictly_increasing,
    norm,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_bits import bitcast, saturate_cast
from tensorkiln.frontends.graph.ops_elementwise import cast, floor_div, mod, realdiv
from tensorkiln.frontends.graph.ops_incomplete import betainc, igamma, igammac
from tensorkiln.frontends.graph.ops_quantize import (
    fake_quant_with_min_max_args,
    fake_quant_with_min_max_args_gradient,
    fake_quant_with_min_max_vars,
    fake_quant_with_min_max_vars_gradient,
    fake_quant_with_min_max_vars_per_channel,
    fake_quant_with_min_max_vars_per_channel_gradient,
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
from tensorkiln.frontends.graph.tensor import Tensor

orthogonal_initializer = Orthogonal
floormod = mod


def to_complex64(x: object, name: str = "ToComplex64") -> Tensor:
    """`x` as complex64."""
    return cast(x, complex64, name)


def to_complex128(x: object, name: str = "ToComplex128") -> Tensor:
    """`x` as complex128."""
    return cast(x, complex128, name)
