"""`tf.math`: the mathematical functions under one roof."""

from tensorkiln.frontends.graph.ops_activation import log_softmax, softmax, softplus, softsign
from tensorkiln.frontends.graph.ops_counting import (
    reduce_euclidean_norm,
    reduce_std,
    reduce_variance,
    zero_fraction,
)
from tensorkiln.frontends.graph.ops_elementwise import (
    abs_ as abs,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_elementwise import (
    acos,
    add,
    add_n,
    asin,
    atan,
    atan2,
    ceil,
    cos,
    cosh,
    divide,
    equal,
    erf,
    erfc,
    exp,
    expm1,
    floor,
    floordiv,
    greater,
    greater_equal,
    is_finite,
    is_inf,
    is_nan,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    not_equal,
    reciprocal,
    rint,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    squared_difference,
    subtract,
    tan,
    tanh,
    truediv,
)
from tensorkiln.frontends.graph.ops_elementwise import pow_ as pow
from tensorkiln.frontends.graph.ops_elementwise import round_ as round
from tensorkiln.frontends.graph.ops_incomplete import (
    betainc,
    cumulative_logsumexp,
    igamma,
    igammac,
)
from tensorkiln.frontends.graph.ops_normalize import l2_normalize
from tensorkiln.frontends.graph.ops_reduce import (
    argmax,
    argmin,
    reduce_all,
    reduce_any,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_scan import cumprod, cumsum
from tensorkiln.frontends.graph.ops_segment import (
    segment_max,
    segment_mean,
    segment_min,
    segment_prod,
    segment_sum,
    unsorted_segment_max,
    unsorted_segment_mean,
    unsorted_segment_min,
    unsorted_segment_prod,
    unsorted_segment_sqrt_n,
    unsorted_segment_sum,
)
from tensorkiln.frontends.graph.ops_select import in_top_k
from tensorkiln.frontends.graph.ops_sort import top_k
from tensorkiln.frontends.graph.ops_special import (
    bessel_i0,
    bessel_i0e,
    bessel_i1,
    bessel_i1e,
    erfcinv,
    erfinv,
    multiply_no_nan,
    ndtri,
    nextafter,
    polyval,
    reciprocal_no_nan,
    xdivy,
    xlog1py,
    xlogy,
)
from tensorkiln.frontends.graph.ops_special import div_no_nan as divide_no_nan
from tensorkiln.frontends.graph.ops_spectral import angle, conj, imag, real
from tensorkiln.names import logical_xor, scalar_mul
from tensorkiln.names_arrays import bincount, confusion_matrix, count_nonzero, invert_permutation
from tensorkiln.names_math import (
    accumulate_n,
    acosh,
    asinh,
    atanh,
    digamma,
    is_non_decreasing,
    is_strictly_increasing,
    lbeta,
    lgamma,
    log_sigmoid,
    polygamma,
    zeta,
)

floormod = mod
