"""`tf.io`: the names that files, records and messages have there."""

from tensorkiln import gfile
from tensorkiln.frontends.graph.ops_parsing import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    SparseFeature,
    VarLenFeature,
    decode_raw,
    parse_example,
    parse_single_example,
)  # fmt: skip
from tensorkiln.frontends.graph.summary.records import (
    TFRecordCompressionType,
    TFRecordOptions,
    TFRecordWriter,
    tf_record_iterator,
)  # fmt: skip
