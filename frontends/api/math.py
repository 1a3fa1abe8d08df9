"""`tf.math`: the mathematical functions under one roof."""

from tensorkiln.frontends.graph.ops_activation import softplus, softsign
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
from tensorkiln.frontends.graph.ops_select import in_top_k

floormod = mod
