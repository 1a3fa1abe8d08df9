"""Top-level names of the graph API: messages, summaries by their older names."""

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
