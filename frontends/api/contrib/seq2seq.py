"""`tf.contrib.seq2seq`: decoders with attention."""

from tensorkiln.frontends.graph.seq2seq_attention import (
    AttentionMechanism,
    AttentionWrapper,
    AttentionWrapperState,
    BahdanauAttention,
    LuongAttention,
)
from tensorkiln.frontends.graph.seq2seq_decoder import (
    BasicDecoder,
    BasicDecoderOutput,
    dynamic_decode,
    sequence_loss,
)  # fmt: skip
from tensorkiln.frontends.graph.seq2seq_helpers import (
    GreedyEmbeddingHelper,
    Helper,
    SampleEmbeddingHelper,
    TrainingHelper,
)  # fmt: skip
