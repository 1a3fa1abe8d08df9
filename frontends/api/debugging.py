"""`tf.debugging`: checks of values and shapes."""

from tensorkiln.frontends.graph.assertions import (
    assert_equal,
    assert_greater,
    assert_greater_equal,
    assert_integer,
    assert_less,
    assert_less_equal,
    assert_near,
    assert_negative,
    assert_non_negative,
    assert_non_positive,
    assert_none_equal,
    assert_positive,
    assert_proper_iterable,
    assert_rank,
    assert_rank_at_least,
    assert_rank_in,
    assert_scalar,
    assert_type,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_checks import Assert, check_numerics
from tensorkiln.frontends.graph.ops_checks import verify_tensor_all_finite as assert_all_finite
from tensorkiln.frontends.graph.ops_elementwise import is_finite, is_inf, is_nan
