"""Top-level names of the graph API: messages, summaries by their older names."""

from tensorkiln.frontends.graph.ops_parsing import (
    FixedLenFeature,
    decode_raw,
    parse_example,
    parse_single_example,
)  # fmt: skip
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

# The version of the interface, and of the graphs it reads and writes.
VERSION = "1.15.0"
GIT_VERSION = "unknown"
COMPILER_VERSION = "llvm"
CXX11_ABI_FLAG = 1
MONOLITHIC_BUILD = 0
GRAPH_DEF_VERSION = 134
GRAPH_DEF_VERSION_MIN_CONSUMER = 0
GRAPH_DEF_VERSION_MIN_PRODUCER = 0
