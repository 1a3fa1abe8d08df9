"""Top-level names of the graph API: messages, summaries by their older names."""

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
from tensorkiln.frontends.graph.custom_gradients import (
    NotDifferentiable,
    RegisterGradient,
    custom_gradient,
)  # fmt: skip
from tensorkiln.frontends.graph.devices import DeviceSpec
from tensorkiln.frontends.graph.logs import get_logger
from tensorkiln.frontends.graph.ops_checks import (
    Assert,
    Print,
    add_check_numerics_ops,
    check_numerics,
    verify_tensor_all_finite,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_parsing import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    SparseFeature,
    VarLenFeature,
    decode_raw,
    parse_example,
    parse_single_example,
)  # fmt: skip
from tensorkiln.frontends.graph.ops_print import print_ as print
from tensorkiln.frontends.graph.ops_python import numpy_function, py_func
from tensorkiln.frontends.graph.proto_run import RunMetadata
from tensorkiln.frontends.graph.summary.functions import merge as merge_summary
from tensorkiln.frontends.graph.summary.functions import merge_all as merge_all_summaries
from tensorkiln.frontends.graph.summary.old import (
    audio_summary,
    histogram_summary,
    image_summary,
    scalar_summary,
)  # fmt: skip
from tensorkiln.frontends.graph.summary.proto_summary import (
    Event,
    HistogramProto,
    LogMessage,
    SessionLog,
    Summary,
    SummaryMetadata,
)  # fmt: skip

NoGradient = NotDifferentiable

# The version of the interface, and of the graphs it reads and writes.
VERSION = "1.15.0"
GIT_VERSION = "unknown"
COMPILER_VERSION = "llvm"
CXX11_ABI_FLAG = 1
MONOLITHIC_BUILD = 0
GRAPH_DEF_VERSION = 134
GRAPH_DEF_VERSION_MIN_CONSUMER = 0
GRAPH_DEF_VERSION_MIN_PRODUCER = 0
