"""`tf.summary`: what programs log for TensorBoard."""

from tensorkiln.frontends.graph.summary.functions import (
    audio,
    histogram,
    image,
    merge,
    merge_all,
    scalar,
    tensor_summary,
    text,
)  # fmt: skip
from tensorkiln.frontends.graph.summary.proto_summary import (
    Event,
    HistogramProto,
    LogMessage,
    SessionLog,
    Summary,
    SummaryDescription,
    SummaryMetadata,
    TaggedRunMetadata,
)  # fmt: skip
from tensorkiln.frontends.graph.summary.writer import FileWriter, FileWriterCache
