"""The messages of event files, by TensorFlow's public field numbers."""

from __future__ import annotations

from tensorkiln.frontends.graph.files import proto_graph
from tensorkiln.frontends.graph.files.messages import define, enum_values, message

FILE = "tensorkiln/summary.proto"

define(
    FILE,
    """
SummaryDescription: type_hint string 1
HistogramProto: min double 1, max double 2, num double 3, sum double 4, sum_squares double 5, bucket_limit double* 6, bucket double* 7
SummaryMetadata: plugin_data SummaryMetadata.PluginData 1, display_name string 2, summary_description string 3, data_class int32 4
SummaryMetadata.PluginData: plugin_name string 1, content bytes 2
Summary: value Summary.Value* 1
Summary.Image: height int32 1, width int32 2, colorspace int32 3, encoded_image_string bytes 4
Summary.Audio: sample_rate float 1, num_channels int64 2, length_frames int64 3, encoded_audio_string bytes 4, content_type string 5
Summary.Value: node_name string 7, tag string 1, metadata SummaryMetadata 9, value/simple_value float 2, value/obsolete_old_style_histogram bytes 3, value/image Summary.Image 4, value/histo HistogramProto 5, value/audio Summary.Audio 6, value/tensor TensorProto 8
LogMessage: level LogMessage.Level 1, message string 2
enum LogMessage.Level: UNKNOWN 0, DEBUGGING 10, INFO 20, WARN 30, ERROR 40, FATAL 50
SessionLog: status SessionLog.SessionStatus 1, checkpoint_path string 2, msg string 3
enum SessionLog.SessionStatus: STATUS_UNSPECIFIED 0, START 1, STOP 2, CHECKPOINT 3
TaggedRunMetadata: tag string 1, run_metadata bytes 2
Event: wall_time double 1, step int64 2, what/file_version string 3, what/graph_def bytes 4, what/summary Summary 5, what/log_message LogMessage 6, what/session_log SessionLog 7, what/tagged_run_metadata TaggedRunMetadata 8, what/meta_graph_def bytes 9
""",
    (proto_graph.FILE,),
)

SummaryDescription = message("SummaryDescription")
HistogramProto = message("HistogramProto")
SummaryMetadata = message("SummaryMetadata")
Summary = message("Summary")
LogMessage = message("LogMessage")
SessionLog = message("SessionLog")
TaggedRunMetadata = message("TaggedRunMetadata")
Event = message("Event")

SESSION_STATUS = enum_values("SessionLog.SessionStatus")
