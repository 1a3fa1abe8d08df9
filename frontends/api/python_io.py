"""`tf.python_io`: record files."""

from tensorkiln.frontends.graph.summary.records import (
    TFRecordCompressionType,
    TFRecordOptions,
    TFRecordWriter,
    tf_record_iterator,
)  # fmt: skip
